"""One colour as the page shows it, from what its processes say and what they counted. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mina_ops.app.console.limits import LEAST_SAMPLES
from mina_ops.app.metrics import answers
from mina_ops.app.metrics.views import View
from mina_ops.app.state.presence import Peers

Body = dict[str, Any]
Reports = Mapping[str, Mapping[str, Any]]


def colour(peers: Peers, view: View, drain: Body, given: float | None) -> Body:
    """One entry of `colours`; `share.seen` is filled in when both are known.

    Args:
        given: the share that a release gave it last, in percent.
    """
    reports = peers.reports
    return {
        "age_seconds": None if peers.age_seconds is None else round(peers.age_seconds, 1),
        "stale": peers.stale or view.stale,
        "instances": len(reports),
        "ready": sum(bool(_said(report, "console").get("ready")) for report in reports.values()),
        "versions": sorted({str(report.get("version")) for report in reports.values()}),
        "health": _health(reports),
        "reasons": _reasons(reports),
        "share": {"given": given, "seen": None},
        "figures": figures(view),
        "sessions": sum(int(_said(r, "drain").get("remaining") or 0) for r in reports.values()),
        "drain": drain,
    }


def figures(view: View) -> Body:
    """The four figures of a window, each with why it is missing if it is."""
    errors = answers.errors(view.amounts)
    speed = answers.performance(view)
    handshakes = answers.websockets(view.amounts)
    rate = speed["requests_per_second"]
    return {
        "requests_per_second": _figure(0.0 if rate is None and view.read_at else rate, 0, 0),
        "error_rate": _figure(errors["error_rate"], errors["samples"], LEAST_SAMPLES),
        "p95_ms": _figure(speed["p95_ms"], speed["samples"], LEAST_SAMPLES),
        "handshakes": _figure(
            handshakes["connection_success_rate"], handshakes["samples"], LEAST_SAMPLES
        ),
    }


def share_seen(first: Body, second: Body) -> None:
    """Fill in which share of all requests each colour really served in the last minute."""
    rates = [one["figures"]["requests_per_second"]["value"] or 0.0 for one in (first, second)]
    total = sum(rates)
    for one, rate in zip((first, second), rates, strict=True):
        one["share"]["seen"] = round(100 * rate / total, 1) if total else None


def _figure(value: float | None, samples: int, least: int) -> Body:
    if value is None or samples < least:
        why = f"{samples} of {least} samples" if samples else "no request yet"
        return {"value": None, "samples": samples, "why": why}
    return {"value": value, "samples": samples, "why": None}


def _health(reports: Reports) -> str:
    if not reports:
        return "gone"
    states = [_said(report, "health") for report in reports.values()]
    if not all(state.get("started") for state in states):
        return "starting"
    sick = sum(bool(state.get("failing")) for state in states)
    return "healthy" if not sick else "unhealthy" if sick == len(states) else "degraded"


def _reasons(reports: Reports) -> list[str]:
    failing = Counter(
        name for report in reports.values() for name in _said(report, "health").get("failing", ())
    )
    return [f"{name} fails on {many} of {len(reports)}" for name, many in failing.most_common()]


def _said(report: Mapping[str, Any], component: str) -> Mapping[str, Any]:
    said = report.get(component)
    return said if isinstance(said, Mapping) else {}
