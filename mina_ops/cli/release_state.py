"""How the newest release stands: from its journal and its last report, or from the app."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from mina_ops.cli.release_summary import summary

if TYPE_CHECKING:
    from mina_ops.cli.session import Session


def state(session: Session) -> dict[str, Any] | None:
    """The newest release's fields, as `release status --json` prints them; None: there is none.

    It is the newest of this folder, else the one that another machine reported to the app.
    """
    from mina_ops.cli import output
    from mina_ops.operator.release import elsewhere, journal, lock, report, way_back
    from mina_ops.operator.release.release import Site

    plan = way_back.lenient_plan(Site(session.settings, session.driver), output.say)
    found = journal.latest(plan.folder)
    if found is None:
        reported = elsewhere.newest(session.settings)
        if reported is None:
            return None
        where = {"running": reported.is_alive, "elsewhere": reported.who}
        return {**reported.body, "release": reported.id, **where}
    told = report.read(found.folder) or {}
    running = lock.is_held(plan.folder)
    owner = lock.owner(plan.folder) if running else None
    age = time.time() - float(told.get("heartbeat", 0.0)) if told else None
    value = {**told, **summary(found), "running": running, "owner": owner}
    stopped = lock.is_stopped(owner)
    value |= {"age_seconds": None if age is None else round(max(0.0, age), 1), "stopped": stopped}
    return {**value, "no_data": plan.no_data}


def text(value: dict[str, Any]) -> str:
    """The fields that `state` returned as a few lines for a person."""
    lines = [f"{value['release']}: {value['phase']}, {value['percent']} % on {value['to']}"]
    if value.get("elsewhere"):
        lines.append(f"runs on another machine: {value['elsewhere']}")
    if value["phase"] == "shadow":
        lines.append(f"GETs are mirrored to {value['to']}; what it answers reaches nobody")
    if value.get("reasons"):
        lines.append(f"because: {'; '.join(value['reasons'])}")
    if value.get("notice") and not value["ended"]:
        lines.append(str(value["notice"]))
    if value.get("paused"):
        lines.append("paused: `mina-ops release resume`, `promote` or `abort`")
    if not value["ended"]:
        lines += _verdicts(value)
        lines += _who(value)
    return "\n".join(lines)


def _verdicts(value: dict[str, Any]) -> list[str]:
    found = value.get("verdicts") or []
    left = value.get("seconds_left")
    lines = [] if left is None else [f"{left:.0f} s left at this share"]
    waits = [f"  {one['trigger']}: {one['reason']}" for one in found if one["verdict"] != "pass"]
    if waits:
        return [*lines, "waits for:", *waits]
    return [*lines, "every trigger passes"] if found else lines


def _who(value: dict[str, Any]) -> list[str]:
    owner = value.get("owner")
    if value.get("stopped"):
        pid = (owner or {}).get("pid")
        return [f"Its controller, process {pid}, is STOPPED: `mina-ops release abort` takes over."]
    if owner:
        return [f"run by {owner.get('user')} on {owner.get('host')}, process {owner.get('pid')}"]
    if not value.get("running"):
        return ["Its controller is gone: `mina-ops release resume` or `mina-ops release abort`."]
    return []
