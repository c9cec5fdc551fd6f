"""`mina-ops status`: both colours at a glance."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import click

from mina_ops.cli import output
from mina_ops.cli.session import Session
from mina_ops.errors import OperatorError

if TYPE_CHECKING:
    from mina_ops.operator.config.colours import Colour

_WINDOW_SECONDS = 60


@click.command(name="status")
@output.json_option
@click.pass_obj
def command(session: Session, as_json: bool) -> None:
    """Show both colours: health, version, live connections, and their share of traffic.

    A colour without share may still have live connections: those that it had before, until it
    drains. The share that each really got is measured over the last minute.

    Exits 3 if a colour that gets traffic is unhealthy or unreachable, 7 if the load balancer
    cannot be asked.
    """
    colours = list(session.settings.colours.values())
    with ThreadPoolExecutor(max_workers=len(colours)) as pool:
        states = dict(zip((c.name for c in colours), pool.map(_state, colours), strict=True))
    traffic, problem = _traffic(session)
    for name, state in states.items():
        state["percent"] = traffic["split"]["percent"][name] if traffic else None
        state["serves"] = serves(traffic["split"], name) if traffic else None
    _measure(states)
    value = {"public": session.settings.public_url, "colours": states, "traffic": traffic}
    output.data(value, _text(states, traffic), as_json=as_json)
    if problem:
        raise problem
    _judge(states, traffic)


def _state(colour: Colour) -> dict[str, Any]:
    from mina_ops.operator.api.client import AppClient
    from mina_ops.operator.traffic.identity import stranger

    state: dict[str, Any] = {"url": colour.url, "reachable": False, "ready": False}
    try:
        with AppClient(colour.name, colour.url) as client:
            health = client.health()
            state |= {"reachable": True, "status": health.status, "version": health.version}
            state |= {"environment": health.environment, "failing": health.failing()}
            if somebody := stranger(colour, colour.url, health.environment):
                state["stranger"] = somebody
            state["ready"] = client.ready().ready
            connections = client.connections()
            state |= {"active_connections": connections.active, "drain": connections.drain_state}
            state["stale"] = connections.stale
            asked = client.metric("errors", window_seconds=_WINDOW_SECONDS)
            state["requests_last_minute"] = asked.get("samples")
    except OperatorError as error:
        state["error"] = str(error)
    return state


def _measure(states: dict[str, dict[str, Any]]) -> None:
    """Add the share of the last minute's requests that each colour got."""
    from mina_ops.operator.traffic.share import measured_share

    requests = {name: state.get("requests_last_minute") for name, state in states.items()}
    known = {name: count for name, count in requests.items() if isinstance(count, int)}
    for name, state in states.items():
        if len(known) < len(states) or state["percent"] is None:
            continue
        share = measured_share(known, name, state["percent"])
        state["measured_percent"] = None if share.percent is None else round(share.percent, 1)
        if share.differs:
            state["share_problem"] = f"{share.describe(name)}, over the last minute."


def serves(split: dict[str, Any], name: str) -> bool:
    """Whether new visitors reach a colour."""
    return bool(split["percent"][name]) or name in split["cohorts"].values()


def _traffic(session: Session) -> tuple[dict[str, Any] | None, OperatorError | None]:
    try:
        return session.driver.read().to_json(), None
    except OperatorError as error:
        return None, error


def _text(states: dict[str, dict[str, Any]], traffic: dict[str, Any] | None) -> str:
    rows = [_row(name, state) for name, state in states.items()]
    header = ("colour", "traffic", "health", "ready", "version", "connections", "drain")
    lines = [output.table(header, rows)]
    if traffic and traffic["split"]["cohorts"]:
        lines.append(f"{len(traffic['split']['cohorts'])} users are sent to a colour by name")
    lines += [
        f"{name} has no share; its {state['active_connections']} live connections are those that "
        "it had before, until it drains"
        for name, state in states.items()
        if state["serves"] is False and state.get("active_connections")
    ]
    lines += [
        f"{name}: {state[key]}"
        for name, state in states.items()
        for key in ("stranger", "share_problem")
        if key in state
    ]
    lines += [f"{name}: {state['error']}" for name, state in states.items() if "error" in state]
    return "\n".join(lines)


def _row(name: str, state: dict[str, Any]) -> tuple[str, ...]:
    def shown(key: str) -> str:
        value = state.get(key)
        return "-" if value is None else str(value)

    share = "?" if state["percent"] is None else f"{state['percent']} %"
    health = state.get("status", "unreachable")
    if state.get("failing"):
        health += f" ({', '.join(state['failing'])})"
    ready = "yes" if state["ready"] else "no"
    connections = shown("active_connections") + (" (stale)" if state.get("stale") else "")
    return name, share, health, ready, shown("version"), connections, shown("drain")


def _judge(states: dict[str, dict[str, Any]], traffic: dict[str, Any] | None) -> None:
    from mina_ops.errors import AppUnhealthy, AppUnreachable

    for name, state in states.items():
        if not (traffic and traffic["split"]["percent"][name]):
            continue
        if not state["reachable"]:
            raise AppUnreachable(f"{name} gets traffic and cannot be reached at {state['url']}.")
        if not state["ready"]:
            raise AppUnhealthy(f"{name} gets traffic and is not ready.")
    for state in states.values():
        if "stranger" in state:
            raise AppUnhealthy(state["stranger"])
