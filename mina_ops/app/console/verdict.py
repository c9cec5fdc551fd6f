"""The first line of the page: what is wrong, the worst first, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mina_ops.app.console import limits

Body = dict[str, Any]
Since = Callable[[str], float]
"""Seconds since a fault of that name was seen first."""

ALARM, WARNING = "alarm", "warning"


def sentences(data: Mapping[str, Any], since: Since) -> list[Body]:
    """`[{"level", "text"}, ...]`; [] if all is well."""
    found = [*_store(data), *_release(data)]
    for name in data["order"]:
        found += _colour(name, data, since)
    found += [{"level": WARNING, "text": note} for note in data["notes"]]
    return sorted(found, key=lambda one: one["level"] != ALARM)


def judge(colours: Mapping[str, Body], order: list[str]) -> Body:
    """The limit of each figure, and which colours are beyond it."""
    first, second = (colours[name]["figures"] for name in order)
    broken: dict[str, list[str]] = {"error_rate": [], "p95_ms": [], "handshakes": []}
    for name, mine, other in ((order[0], first, second), (order[1], second, first)):
        if _above(mine["error_rate"]["value"], limits.ERROR_PERCENT):
            broken["error_rate"].append(name)
        if _below(mine["handshakes"]["value"], limits.HANDSHAKE_PERCENT):
            broken["handshakes"].append(name)
        p95, theirs = mine["p95_ms"]["value"], other["p95_ms"]["value"]
        if p95 is not None and theirs is not None:
            allowed = theirs * (1 + limits.P95_INCREASE_PERCENT / 100)
            if p95 > max(allowed, theirs + limits.P95_INCREASE_MS):
                broken["p95_ms"].append(name)
    texts = {
        "error_rate": f"{limits.ERROR_PERCENT:g} %",
        "p95_ms": f"other + {limits.P95_INCREASE_PERCENT:g} %",
        "handshakes": f"{limits.HANDSHAKE_PERCENT:g} %",
    }
    return {name: {"text": text, "broken_by": broken[name]} for name, text in texts.items()}


def _above(value: float | None, limit: float) -> bool:
    return value is not None and value > limit


def _below(value: float | None, limit: float) -> bool:
    return value is not None and value < limit


def _store(data: Mapping[str, Any]) -> list[Body]:
    store = data["store"]
    if store["kind"] == "memory":
        here = data["served_by"]["environment"]
        return [
            {"level": WARNING, "text": f"no Redis: this page shows one process of {here} alone"}
        ]
    if store["away"]:
        age = store["age_seconds"]
        old = "figures were never read" if age is None else f"figures are {age:.0f} s old"
        return [{"level": ALARM, "text": f"{old}: Redis does not answer"}]
    return []


def _release(data: Mapping[str, Any]) -> list[Body]:
    release = data["release"]
    if not release or release["ended"]:
        return []
    version = release["version"]
    if not release["alive"]:
        heard = release["heard_seconds"]
        when = "never heard" if heard is None else f"last heard {heard:.0f} s ago"
        return [{"level": ALARM, "text": f"nobody is at work on release {version} ({when})"}]
    if release["paused"]:
        why = f": {release['reason']}" if release["reason"] else ""
        return [{"level": WARNING, "text": f"release {version} is paused{why}"}]
    return []


def _colour(name: str, data: Mapping[str, Any], since: Since) -> list[Body]:
    colour = data["colours"][name]
    share = colour["share"]["given"] if colour["share"]["given"] is not None else None
    share = colour["share"]["seen"] if share is None else share
    serves = bool(share)
    level = ALARM if serves else WARNING
    found: list[Body] = []
    if data["store"]["away"] or data["store"]["kind"] == "memory":
        return found
    if not colour["instances"]:
        seconds = since(f"{name} gone")
        text = f"{name}: no process is heard"
        return [{"level": level, "text": f"{text} for {seconds:.0f} s"}] if serves else []
    drained = colour["drain"]["state"] != "serving"
    if colour["ready"] < colour["instances"] and not drained:
        text = f"{name}: {colour['ready']} of {colour['instances']} ready"
        worst = level if not colour["ready"] else WARNING
        found.append({"level": worst, "text": f"{text} for {since(f'{name} ready'):.0f} s"})
    for reason in colour["reasons"]:
        seconds = since(f"{name} {reason.split()[0]}")
        found.append({"level": level, "text": f"{name}: {reason} for {seconds:.0f} s"})
    return found + _figures(name, colour, data["limits"], level)


def _figures(
    name: str, colour: Mapping[str, Any], bounds: Mapping[str, Any], level: str
) -> list[Body]:
    words = {"error_rate": "% errors", "p95_ms": "ms P95", "handshakes": "% of handshakes succeed"}
    found = []
    for key, bound in bounds.items():
        if name in bound["broken_by"]:
            value = colour["figures"][key]["value"]
            text = f"{name}: {value:.3g} {words[key]}, limit {bound['text']}"
            found.append({"level": level, "text": text})
    return found
