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


@click.command(name="status")
@output.json_option
@click.pass_obj
def command(session: Session, as_json: bool) -> None:
    """Show both colours: health, version, live connections, and their share of traffic.

    Exits 3 if a colour that gets traffic is unhealthy or unreachable, 7 if the load balancer
    cannot be asked.
    """
    colours = list(session.settings.colours.values())
    with ThreadPoolExecutor(max_workers=len(colours)) as pool:
        states = dict(zip((c.name for c in colours), pool.map(_state, colours), strict=True))
    traffic, problem = _traffic(session)
    for name, state in states.items():
        state["percent"] = traffic["split"]["percent"][name] if traffic else None
    value = {"public": session.settings.public_url, "colours": states, "traffic": traffic}
    output.data(value, _text(states, traffic), as_json=as_json)
    if problem:
        raise problem
    _judge(states, traffic)


def _state(colour: Colour) -> dict[str, Any]:
    from mina_ops.operator.api.client import AppClient

    state: dict[str, Any] = {"url": colour.url, "reachable": False, "ready": False}
    try:
        with AppClient(colour.name, colour.url) as client:
            health = client.health()
            state |= {"reachable": True, "status": health.status, "version": health.version}
            state |= {"environment": health.environment, "failing": health.failing()}
            state["ready"] = client.ready().ready
            connections = client.connections()
            state |= {"active_connections": connections.active, "drain": connections.drain_state}
            state["stale"] = connections.stale
    except OperatorError as error:
        state["error"] = str(error)
    return state


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
