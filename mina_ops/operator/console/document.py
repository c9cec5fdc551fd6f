"""The data of the page as far as the operator's side knows it: journals, and the load balancer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from mina_ops.errors import MinaOpsError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.config.colours import Colour
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.release import freeze, journal, lock, plan, report
from mina_ops.operator.release.model import FORWARD, Phase
from mina_ops.operator.system.people import whoami
from mina_ops.operator.traffic import open_driver

Body = dict[str, Any]

_FIGURES = ("requests_per_second", "error_rate", "p95_ms", "handshakes")
_WHY = "no colour tells it"
_FAILED = (Phase.FAILED, Phase.ROLLED_BACK, Phase.ROLLING_BACK)


def document(settings: OperatorSettings) -> Body:
    """What `data` answers; never raises, what cannot be asked says so in its place."""
    shares, balancer = _shares(settings)
    colours = {c.name: _colour(c, shares.get(c.name)) for c in settings.colours.values()}
    release, frozen, trouble = _release(settings)
    verdict = [
        {"level": "alarm", "text": f"{name} does not answer"}
        for name, colour in colours.items()
        if not colour["instances"]
    ]
    verdict += [{"level": "alarm", "text": text} for text in (*balancer, *trouble)]
    return {
        "at": time.time(),
        "product": "mina",
        "viewer": {
            "name": whoami(),
            "may_act": False,
            "why_not": "served by mina-ops, read-only",
            "can_leave": False,
        },
        "verdict": verdict,
        "order": list(colours),
        "colours": colours,
        "limits": {},
        "grace_seconds": 0,
        "release": release,
        "releases_known": release is not None,
        "freeze": frozen,
        "flags": [],
        "flags_stale": True,
        "flags_age_seconds": None,
        "flags_alert": "Flags live in the app, which does not answer.",
        "changes": [],
        "changes_stale": True,
        "history": {"points": [], "marks": []},
    }


def _shares(settings: OperatorSettings) -> tuple[Mapping[str, int], list[str]]:
    try:
        return open_driver(settings).read().split.percent, []
    except MinaOpsError as error:
        return {}, [str(error)]


def _colour(colour: Colour, share: int | None) -> Body:
    body: Body = {
        "age_seconds": 0.0,
        "stale": False,
        "instances": 0,
        "ready": 0,
        "versions": [],
        "health": "gone",
        "reasons": [],
        "share": {"given": share, "seen": None},
        "figures": {name: {"value": None, "why": _WHY} for name in _FIGURES},
        "sessions": None,
        "drain": {
            **dict.fromkeys(("initial", "remaining", "forced", "holds"), 0),
            "state": "serving",
            "deadline_in_seconds": None,
        },
    }
    for name, url in (colour.processes or dict.fromkeys(colour.instances, colour.url)).items():
        try:
            with AppClient(f"{colour.name} {name}", url) as client:
                health, ready = client.health(), client.ready()
        except MinaOpsError:
            body["reasons"].append(f"instance {name} does not answer")
            continue
        body["instances"] += 1
        body["ready"] += ready.ready
        body["health"] = health.status
        body["versions"] = sorted({*body["versions"], health.version})
    return body


def _release(settings: OperatorSettings) -> tuple[Body | None, Body | None, list[str]]:
    try:
        folder = plan.read(settings).folder
        held = freeze.read(folder)
        newest = journal.latest(folder)
        shown = None if newest is None else _shown(newest, lock.is_held(folder))
    except MinaOpsError as error:
        return None, None, [str(error)]
    frozen = None if held is None else {"by": held.who, "reason": held.why, "since": held.since}
    return shown, frozen, []


def _shown(newest: journal.Journal, is_held: bool) -> Body:
    progress = newest.progress()
    told = report.read(newest.folder) or {}
    if progress.phase in _FAILED:
        phases = [{"name": str(progress.phase), "state": "failed"}]
    else:
        at = FORWARD.index(progress.phase)
        states = ["done"] * at + ["now"] + ["waiting"] * (len(FORWARD) - at - 1)
        phases = [
            {"name": str(phase), "state": state}
            for phase, state in zip(FORWARD[:-1], states, strict=False)
        ]
    return {
        "id": newest.release_id,
        "version": newest.release_id.split("-", 2)[-1],
        "from": str(told.get("from", "?")),
        "to": str(told.get("to", "?")),
        "by": str(told.get("who", "")),
        "phase": str(progress.phase),
        "phases": phases,
        "percent": progress.percent,
        "paused": False,
        "ended": progress.ended,
        "waits_for": None,
        "reason": None,
        "triggers": [],
        "seconds_left": None,
        "heard_seconds": 0.0 if is_held else None,
        "alive": progress.ended or is_held,
        "orders": [],
        "flags": [],
    }
