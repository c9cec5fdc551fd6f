"""Every state that the console can be in, as the data that the page is given.

The fixture page (`stage.py`) and the tests in Chromium show them; docs/console.md describes the
fields. Each state is made from `calm` by the smallest change, so that a reader sees what differs.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

State = dict[str, Any]

PHASES = (
    *("checks", "backup", "migrate", "start", "health", "smoke"),
    *("shadow", "switch", "drain", "watch"),
)


def _colour(version: str, **more: Any) -> State:
    return {
        "age_seconds": 0.4,
        "stale": False,
        "instances": 4,
        "ready": 4,
        "versions": [version],
        "health": "healthy",
        "reasons": [],
        "share": {"given": None, "seen": None},
        "figures": {
            "requests_per_second": {"value": None, "why": None},
            "error_rate": {"value": None, "why": None},
            "p95_ms": {"value": None, "why": None},
            "handshakes": {"value": None, "why": None},
        },
        "sessions": 0,
        "drain": {
            "state": "serving",
            "initial": 0,
            "remaining": 0,
            "deadline_in_seconds": None,
            "forced": 0,
            "holds": 0,
        },
        **more,
    }


def _figures(rate: float, errors: float, p95: float, handshakes: float) -> State:
    values = (rate, errors, p95, handshakes)
    names = ("requests_per_second", "error_rate", "p95_ms", "handshakes")
    return {name: {"value": value, "why": None} for name, value in zip(names, values, strict=True)}


# Minutes ago -> green's share from then on, as a release gives it.
CANARY = {14: 10, 4: 25}
DONE = {44: 10, 34: 25, 24: 50, 3: 100}


def _history(now: float, shares: Mapping[int, int] | None = None) -> State:
    """An hour: blue all along, green since a release gave it shares."""
    points = []
    shares = shares or {}
    start = int(now // 60) * 60
    share = 0.0
    for minute in range(59, -1, -1):
        wave = 1 + 0.15 * math.sin(minute / 6)
        share = shares.get(minute, 100 * share) / 100
        point: State = {"at": start - 60 * minute}
        if share < 1:
            point["blue"] = {
                "requests_per_second": 311 * wave * (1 - share),
                "error_rate": 0.02 + (0.2 if minute == 31 else 0),
                "p95_ms": 87 * wave,
                "handshakes": 99.9,
                "sessions": round(244 * (1 - share) * wave),
                "share": 100 * (1 - share),
            }
        if share:
            point["green"] = {
                "requests_per_second": 311 * wave * share,
                "error_rate": 0.03,
                "p95_ms": 91 * wave,
                "handshakes": 100.0,
                "sessions": round(244 * share * wave),
                "share": 100 * share,
            }
        points.append(point)
    marks = [
        {"at": now - 60 * minute, "kind": "switch", "text": f"green {percent} %"}
        for minute, percent in shares.items()
    ]
    if shares:
        begun = now - 60 * (max(shares) + 1)
        marks.insert(0, {"at": begun, "kind": "release", "text": "release v2.5.0 began"})
    return {"points": points, "marks": marks}


def calm() -> State:
    """All well, blue has everything, no release."""
    now = time.time()
    blue = _colour("v2.4.5", share={"given": None, "seen": 100.0}, sessions=183)
    blue["figures"] = _figures(311, 0.02, 87, 99.92)
    green = _colour("v2.4.4", share={"given": None, "seen": 0.0})
    return {
        "at": now,
        "product": "mina",
        "served_by": {"environment": "blue", "version": "v2.4.5", "instance": "0"},
        "viewer": {"name": "token:ops", "may_act": True, "why_not": None, "can_leave": True},
        "verdict": [],
        "store": {"kind": "redis", "away": False, "age_seconds": 0.4},
        "order": ["blue", "green"],
        "colours": {"blue": blue, "green": green},
        "limits": {
            "error_rate": {"text": "5 %", "broken_by": []},
            "p95_ms": {"text": "other + 50 %", "broken_by": []},
            "handshakes": {"text": "95 %", "broken_by": []},
        },
        "grace_seconds": 30,
        "release": None,
        "releases_known": True,
        "freeze": None,
        "flags": _flags(now),
        "flags_stale": False,
        "flags_age_seconds": 0.4,
        "flags_alert": None,
        "changes": _changes(now),
        "changes_stale": False,
        "history": _history(now),
    }


def _flag(key: str, *, on: bool, percent: float, by: str, at: float) -> State:
    return {
        "key": key,
        "enabled": on,
        "rollout_percent": percent,
        "changed_by": f"token:{by}",
        "changed_at": at,
        "release": "v2.5.0" if key == "enable_audio_replay" else None,
        "description": None,
    }


def _flags(now: float) -> list[State]:
    return [
        _flag("enable_audio_replay", on=True, percent=25, by="ops", at=now - 300),
        _flag("new_editor", on=False, percent=100, by="dev", at=now - 400_000),
        _flag("speaker_labels", on=True, percent=100, by="ana", at=now - 90_000),
    ]


def _changes(now: float, shares: Mapping[int, int] | None = None) -> list[State]:
    """The last changes, with the switches of a release if one gave green shares."""
    texts = [
        (300, "ops", "flag enable_audio_replay: on, 25 %"),
        (90_000, "ana", "flag speaker_labels: on"),
        (400_000, "dev", "flag new_editor: off"),
    ]
    given = [0, *(shares or {}).values()]
    for minute, before, after in zip(shares or (), given, given[1:], strict=False):
        moved = f"traffic: blue {100 - before} to {100 - after} %, green {before} to {after} %"
        texts.append((60 * minute, "ops", moved))
    if shares:
        texts.append((60 * max(shares) + 60, "ops", "release v2.5.0 begun: blue to green"))
    return [
        {"id": str(ago), "at": now - ago, "actor": f"token:{who}", "text": text}
        for ago, who, text in sorted(texts)
    ]


def frozen() -> State:
    """Releases are frozen, and the host has a page at one of our paths."""
    state = calm()
    since = state["at"] - 7200
    state["freeze"] = {"by": "token:ana", "reason": "a migration failed halfway", "since": since}
    note = "blue and green: /api/health: the host's health (/api/health), mina_ops answers"
    state["verdict"] = [{"level": "warning", "text": note}]
    return state


def empty() -> State:
    """A first look: nothing was ever counted, changed or released."""
    state = calm()
    for name in state["order"]:
        state["colours"][name] = _colour("unknown", instances=0, ready=0, versions=[])
    blue = state["colours"]["blue"]
    blue |= {"instances": 1, "ready": 1, "versions": ["v1"]}
    state |= {"flags": [], "changes": [], "releases_known": False}
    state["history"] = {"points": [], "marks": []}
    return state


def first_seconds() -> State:
    """Both colours just started: no check has run, hardly a sample."""
    state = calm()
    for name in state["order"]:
        colour = state["colours"][name]
        colour |= {"ready": 0, "health": "starting", "sessions": 0}
        colour["figures"]["p95_ms"] = {"value": None, "why": "3 of 20 samples"}
    state["verdict"] = [{"level": "warning", "text": "blue: 0 of 4 instances are ready, starting"}]
    state["history"] = {"points": [], "marks": []}
    return state


def _phases(now: str) -> list[State]:
    at = PHASES.index(now)
    return [
        {"name": name, "state": "done" if i < at else "now" if i == at else "waiting"}
        for i, name in enumerate(PHASES)
    ]


def _release(**more: Any) -> State:
    return {
        "id": "20261129-120000-v2.5.0",
        "version": "v2.5.0",
        "from": "blue",
        "to": "green",
        "by": "ops",
        "phase": "switch",
        "phase_text": "canary",
        "phases": _phases("switch"),
        "percent": 25,
        "paused": False,
        "ended": False,
        "waits_for": "P95: 412 of 640 samples",
        "reason": None,
        "triggers": [
            _trigger("error_rate", "pass", "0.03 % of 2,410 failed, limit 5 %"),
            _trigger("p95", "no_data", "91 ms beside 87 ms: 412 of 640 samples"),
            _trigger("websockets", "pass", "all of 52 handshakes succeeded"),
            _trigger("database", "pass", "connected, 12 ms, limit 500 ms"),
        ],
        "seconds_left": 240,
        "heard_seconds": 1.0,
        "alive": True,
        "orders": [],
        "flags": [],
        **more,
    }


def _trigger(name: str, verdict: str, says: str) -> State:
    return {"name": name, "verdict": verdict, "says": says}


def canary() -> State:
    """A release at 25 %, healthy, waiting for samples."""
    state = calm()
    blue, green = state["colours"]["blue"], state["colours"]["green"]
    blue |= {"share": {"given": 75, "seen": 74.6}, "sessions": 183}
    green |= {"share": {"given": 25, "seen": 25.4}, "sessions": 61, "versions": ["v2.5.0"]}
    blue["figures"] = _figures(233, 0.02, 87, 99.92)
    green["figures"] = _figures(78, 0.03, 91, 100.0)
    state["release"] = _release()
    state["history"] = _history(state["at"], CANARY)
    state["changes"] = _changes(state["at"], CANARY)
    return state


def draining() -> State:
    """The switch is done; blue's sessions are moving."""
    state = canary()
    blue, green = state["colours"]["blue"], state["colours"]["green"]
    blue |= {"share": {"given": 0, "seen": 0.0}, "sessions": 12}
    green |= {"share": {"given": 100, "seen": 100.0}, "sessions": 232}
    blue["drain"] = {
        "state": "draining",
        "initial": 122,
        "remaining": 12,
        "deadline_in_seconds": 18.0,
        "forced": 0,
        "holds": 2,
    }
    phases = _phases("drain")
    state["release"] = _release(
        phase="drain", phase_text="drain", percent=100, phases=phases, triggers=[], waits_for=None
    )
    state["release"]["seconds_left"] = 18
    blue["figures"] = _figures(0.2, 0.0, 0.0, 0.0)
    for name, why in (
        ("error_rate", "12 of 20 samples"),
        ("p95_ms", "12 of 20 samples"),
        ("handshakes", "0 of 20 samples"),
    ):
        blue["figures"][name] = {"value": None, "why": why}
    green["figures"] = _figures(311, 0.03, 91, 100.0)
    state["history"] = _history(state["at"], DONE)
    # Sessions stay with their colour after the switch; half a minute ago the drain began.
    for point, left in zip(state["history"]["points"][-4:], (122, 122, 122, 12), strict=True):
        point["blue"] = {"sessions": left}
        point["green"]["sessions"] = 244 - left
    ordered = state["at"] - 12
    drain = {"id": "12", "at": ordered, "actor": "token:ops", "text": "drain of blue begun"}
    state["changes"] = [drain, *_changes(state["at"], DONE)]
    state["history"]["marks"].append({"at": ordered, "kind": "drain", "text": drain["text"]})
    return state


def stale() -> State:
    """Redis does not answer: the other colour's figures are old."""
    state = canary()
    state["verdict"] = [
        {"level": "alarm", "text": "figures are 12 s old: Redis does not answer"},
        {"level": "warning", "text": "nobody is at work on release v2.5.0 (last heard 13 s ago)"},
    ]
    state["store"] = {"kind": "redis", "away": True, "age_seconds": 12.0}
    for name in state["order"]:
        state["colours"][name] |= {"stale": True, "age_seconds": 12.0}
    state["release"] |= {"alive": False, "heard_seconds": 13.0}
    state |= {"flags_stale": True, "flags_age_seconds": 12.0, "changes_stale": True}
    return state


def both_sick() -> State:
    """A shared fault: the database is gone for everybody."""
    state = canary()
    state["verdict"] = [
        {"level": "alarm", "text": "blue and green: database check failing for 40 s"},
        {"level": "alarm", "text": "green: 6.2 % errors, limit 5 %"},
        {"level": "warning", "text": "release v2.5.0 is held: both colours show the fault"},
    ]
    for name in state["order"]:
        state["colours"][name] |= {
            "health": "unhealthy",
            "reasons": ["database fails on 4 of 4 (timeout)"],
        }
    state["colours"]["green"]["figures"]["error_rate"] = {"value": 6.2, "why": None}
    state["limits"]["error_rate"]["broken_by"] = ["green"]
    state["history"]["points"][-1]["green"]["error_rate"] = 6.2
    release = state["release"]
    release |= {"paused": True, "reason": "held: blue shows the same fault"}
    release["triggers"][0] |= {"verdict": "fail", "says": "6.2 % of 480 failed, limit 5 %"}
    return state


def no_redis() -> State:
    """One process without Redis: it knows itself alone, and says so."""
    state = calm()
    state["store"] = {"kind": "memory", "away": False, "age_seconds": 0.0}
    state["verdict"] = [
        {"level": "warning", "text": "no Redis: this page shows one process of blue alone"}
    ]
    state["colours"]["green"] |= {"instances": 0, "ready": 0, "versions": []}
    state["colours"]["blue"] |= {"instances": 1, "ready": 1}
    state["releases_known"] = False
    return state


def two_hundred() -> State:
    """200 instances of each colour, some of them sick."""
    state = canary()
    for name in state["order"]:
        state["colours"][name] |= {"instances": 200, "ready": 197, "sessions": 48_213}
    state["colours"]["green"]["reasons"] = [
        "disk_space fails on 2 of 200",
        "openai fails on 1 of 200 (rate_limited)",
    ]
    state["colours"]["green"]["health"] = "degraded"
    text = "green: disk_space fails on 2 of 200 and openai on 1 of 200"
    state["verdict"] = [{"level": "warning", "text": text}]
    state["colours"]["blue"]["versions"] = ["v2.4.5", "v2.4.4"]
    state["flags"] = [
        _flag(f"feature_{i:03}", on=i % 3 > 0, percent=100, by="ops", at=state["at"] - 60 * i)
        for i in range(120)
    ]
    return state


def long_names() -> State:
    """Names as long as they may be, and text that would be markup."""
    state = canary()
    version = "v2.5.0-rc.1+build.20261129.deadbeefdeadbeefdeadbeefdeadbeef-hotfix"
    state["product"] = "a-product-with-a-long-name"
    state["colours"]["green"] |= {"versions": [version]}
    state["release"] |= {"version": version, "by": "somebody.with.a.long.name@example.com"}
    state["flags"][0]["key"] = "enable_" + "very_" * 20 + "long"
    state["flags"][1]["key"] = "<b>bold</b>"
    state["changes"][0]["text"] = "flag " + "x" * 200 + ": <script>alert(1)</script>"
    state["changes"][0]["actor"] = "user:somebody.with.a.long.name@example.com"
    state["verdict"] = [{"level": "warning", "text": "green: " + "database_replica_" * 8 + "fails"}]
    return state


def no_controller() -> State:
    """A release whose controller died three minutes ago, with an order nobody took."""
    state = canary()
    state["verdict"] = [
        {"level": "alarm", "text": "nobody is at work on release v2.5.0 (last heard 3 min ago)"}
    ]
    order = {"order": "abort", "by": "token:ops", "at": state["at"] - 20, "taken": False}
    state["release"] |= {"alive": False, "heard_seconds": 180.0, "orders": [order]}
    return state


def read_only() -> State:
    """What a token sees that may only read."""
    state = canary()
    state["viewer"] = {
        "name": "token:wall",
        "may_act": False,
        "why_not": "may only read",
        "can_leave": True,
    }
    return state


STATES: dict[str, Callable[[], State]] = {
    state.__name__: state
    for state in (
        calm,
        frozen,
        empty,
        first_seconds,
        canary,
        draining,
        stale,
        both_sick,
        no_redis,
        two_hundred,
        long_names,
        no_controller,
        read_only,
    )
}


def made(name: str) -> State:
    """A fresh copy of a state, its times as of now."""
    return copy.deepcopy(STATES[name]())
