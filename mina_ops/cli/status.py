"""`mina-ops status`: both colours at a glance, the release, and who is at it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from mina_ops.cli import output
from mina_ops.cli.session import Session
from mina_ops.errors import OperatorError

if TYPE_CHECKING:
    from mina_ops.operator.config.colours import Colour
    from mina_ops.operator.release.plan import Plan

_WINDOW_SECONDS = 300
_SHARE_SECONDS = {"requests_last_minute": 60, "requests_lately": 10}
_EVERY_SECONDS = 2.0
_HEADER = (
    *("colour", "share", "health", "ready", "version", "live", "drain"),
    *("errors", "P95", "handshakes"),
)


@click.command(name="status")
@click.option("--watch", is_flag=True, help="Again every 2 s until Ctrl-C.")
@output.json_option
@click.pass_obj
def command(session: Session, watch: bool) -> None:
    """Show both colours, their figures of the last 5 minutes, and the release.

    A colour without share may still have live connections: those that it had before, until it
    drains. The share that each really got is measured over the last minute.

    Exits 3 if a colour that gets traffic is unhealthy, unreachable or over a trigger's limit, 7 if
    the load balancer cannot be asked.
    """
    while watch:
        value = _look(session)
        if output.is_json():
            output.data(value, "")
        else:
            click.clear()
            click.echo(f"{time.strftime('%H:%M:%S')}\n{output.plain(_text(value))}")
        time.sleep(_EVERY_SECONDS)
    value = _look(session)
    output.data(value, _text(value))
    _judge(value)


def _look(session: Session) -> dict[str, Any]:
    plan = _plan(session)
    colours = list(session.settings.colours.values())
    with ThreadPoolExecutor(max_workers=len(colours)) as pool:
        found = pool.map(partial(_state, session, plan), colours)
        states = dict(zip((c.name for c in colours), found, strict=True))
    traffic, problem = _traffic(session)
    for name, state in states.items():
        state["percent"] = traffic["split"]["percent"][name] if traffic else None
        state["serves"] = serves(traffic["split"], name) if traffic else None
    _measure(states)
    return {
        "public": session.settings.public_url,
        "colours": states,
        "traffic": traffic,
        "traffic_error": problem,
        "release": _release(session, plan),
        "freeze": _freeze(session, plan),
        "controller": _controller(plan),
    }


def _plan(session: Session) -> Plan:
    """The plan, for the limits of its triggers; defaults for what cannot be read of it."""
    from mina_ops.operator.release import way_back
    from mina_ops.operator.release.release import Site

    return way_back.lenient_plan(Site(session.settings, session.driver), output.say)


def _state(session: Session, plan: Plan, colour: Colour) -> dict[str, Any]:
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
            for key, seconds in _SHARE_SECONDS.items():
                state[key] = client.metric("errors", window_seconds=seconds).get("samples")
            state |= _figures(client, plan)
    except OperatorError as error:
        state["error"] = str(error)
    return state


def _figures(client: Any, plan: Plan) -> dict[str, Any]:
    """The figures that triggers judge, and what is over its limit."""
    from mina_ops.operator.release.report import shown
    from mina_ops.operator.release.verdicts.figures import Wanted, figures
    from mina_ops.operator.release.verdicts.judging import judge
    from mina_ops.operator.release.verdicts.model import Figures, Verdict

    found = figures(client, _WINDOW_SECONDS, wanted=Wanted.by(plan.triggers))
    findings = judge(found, Figures(), plan.triggers).findings
    over = [f.reason for f in findings if f.verdict is Verdict.FAIL]
    return {"figures": shown(found), "over_limit": over}


def _measure(states: dict[str, dict[str, Any]]) -> None:
    """Add the share of the last minute's requests that each colour got.

    A share that differs from the one that was set is a problem only if the last 10 s differ as
    well: after a switch, the minute before still has the old share. It is told for one colour
    alone, since what one got too little the other one got too much.
    """
    from mina_ops.operator.traffic.share import measured_share

    told = False
    for name, state in states.items():
        shares = []
        for key in _SHARE_SECONDS:
            requests = {other: each.get(key) for other, each in states.items()}
            known = {other: count for other, count in requests.items() if isinstance(count, int)}
            if len(known) == len(states) and state["percent"] is not None:
                shares.append(measured_share(known, name, state["percent"]))
        if shares:
            percent = shares[0].percent
            state["measured_percent"] = None if percent is None else round(percent, 1)
        if shares and all(share.differs for share in shares) and not told:
            told = True
            state["share_problem"] = f"{shares[0].describe('it')}, over the last minute."


def serves(split: dict[str, Any], name: str) -> bool:
    """Whether new visitors reach a colour."""
    return bool(split["percent"][name]) or name in split["cohorts"].values()


def _traffic(session: Session) -> tuple[dict[str, Any] | None, str | None]:
    """What the load balancer does (None: it cannot be asked), and what is wrong with it.

    Of several load balancers, those that answer count; one that does not is named.
    """
    try:
        found = session.driver.read_reachable()
    except OperatorError as error:
        return None, str(error)
    behind = [f"{host} is left behind: {why}" for host, why in found.left_behind.items()]
    return found.to_json(), " ".join(behind) or None


def _release(session: Session, plan: Plan) -> dict[str, Any] | None:
    """The newest release of this folder, else the one that another machine reports."""
    from mina_ops.cli.release_summary import summary_or_damage
    from mina_ops.operator.release import elsewhere, journal

    try:
        found = journal.latest(plan.folder)
    except OperatorError as error:
        return {"release": "?", "phase": "?", "to": "?", "percent": None, "reasons": [str(error)]}
    if found is not None:
        return summary_or_damage(found)
    reported = elsewhere.newest(session.settings)
    if reported is None:
        return None
    return {**reported.body, "release": reported.id, "elsewhere": reported.who}


def _freeze(session: Session, plan: Plan) -> dict[str, Any] | None:
    from mina_ops.operator.release import freeze

    found = freeze.holding(session.settings, plan.folder)
    return None if found is None else {"who": found.who, "why": found.why, "since": found.since}


def _controller(plan: Plan) -> dict[str, Any] | None:
    """Who holds the site, and whether that process was stopped."""
    from mina_ops.operator.release import lock

    if not lock.is_held(plan.folder):
        return None
    owner = lock.owner(plan.folder) or {}
    return {**owner, "stopped": lock.is_stopped(owner or None)}


def _text(value: dict[str, Any]) -> str:
    states = value["colours"]
    lines = [output.table(_HEADER, [_row(name, state) for name, state in states.items()])]
    cohorts = value["traffic"]["split"]["cohorts"] if value["traffic"] else {}
    if cohorts:
        lines.append(f"{len(cohorts)} users are sent to a colour by name")
    if value["traffic"] and value["traffic_error"]:
        lines.append(value["traffic_error"])
    for name, state in states.items():
        lines += [f"{name}: {text}" for text in _problems(state)]
    if value["release"]:
        lines.append(_release_line(value["release"]))
    if value["controller"]:
        lines.append(_controller_line(value["controller"]))
    if value["freeze"]:
        freeze = value["freeze"]
        why = f": {freeze['why']}" if freeze["why"] else ""
        lines.append(f"releases are frozen by {freeze['who']}{why}")
    return "\n".join(lines)


def _problems(state: dict[str, Any]) -> list[str]:
    failing = [f"{', '.join(state['failing'])} failing"] if state.get("failing") else []
    error = [state["error"]] if "error" in state else []
    told = [state[key] for key in ("stranger", "share_problem") if key in state]
    if state.get("serves") is False and state.get("active_connections"):
        told.append(
            f"has no share; its {state['active_connections']} live connections are those that it "
            "had before, until it drains"
        )
    return [*error, *failing, *told, *state.get("over_limit", [])]


def _row(name: str, state: dict[str, Any]) -> tuple[str, ...]:
    def shown(key: str) -> str:
        value = state.get(key)
        return "-" if value is None else str(value)

    share = "?" if state["percent"] is None else f"{state['percent']} %"
    ready = "yes" if state["ready"] else "no"
    live = shown("active_connections") + (" (stale)" if state.get("stale") else "")
    health = str(state.get("status", "unreachable"))
    return name, share, health, ready, shown("version"), live, shown("drain"), *_cells(state)


def _cells(state: dict[str, Any]) -> tuple[str, str, str]:
    found = state.get("figures") or {}
    errors, p95, tried = found.get("error_percent"), found.get("p95_ms"), found.get("handshakes")
    good = 100 * (1 - found["handshakes_failed"] / tried) if tried else None
    return (
        "-" if errors is None else f"{errors:.2f} %",
        "-" if p95 is None else f"{p95:.0f} ms",
        "-" if good is None else f"{good:.1f} %",
    )


def _release_line(release: dict[str, Any]) -> str:
    line = f"release {release['release']}: {release['phase']}"
    if release.get("percent") is not None:
        line += f", {release['percent']} % on {release['to']}"
    if release.get("elsewhere"):
        line += f", by {release['elsewhere']}"
    notes = [release["notice"]] if release.get("notice") else release.get("reasons", [])
    paused = ", paused" if release.get("paused") else ""
    return f"{line}{paused}" + (f"\n  because: {'; '.join(notes)}" if notes else "")


def _controller_line(owner: dict[str, Any]) -> str:
    who = f"{owner.get('purpose')}: {owner.get('user')} on {owner.get('host')}"
    stopped = ", STOPPED: `mina-ops release abort` takes over" if owner.get("stopped") else ""
    return f"at work: {who}, process {owner.get('pid')}{stopped}"


def _judge(value: dict[str, Any]) -> None:
    from mina_ops.errors import AppUnhealthy, AppUnreachable, TrafficError

    if value["traffic"] is None:
        raise TrafficError(value["traffic_error"])
    for name, state in value["colours"].items():
        if not value["traffic"]["split"]["percent"][name]:
            continue
        if not state["reachable"]:
            raise AppUnreachable(f"{name} gets traffic and cannot be reached at {state['url']}.")
        if not state["ready"]:
            raise AppUnhealthy(f"{name} gets traffic and is not ready.")
        if state.get("over_limit"):
            over = "; ".join(state["over_limit"])
            raise AppUnhealthy(f"{name} gets traffic and is bad: {over}. See docs/emergency.md.")
    for state in value["colours"].values():
        if "stranger" in state:
            raise AppUnhealthy(state["stranger"])
    if value["traffic_error"]:
        raise TrafficError(value["traffic_error"])
