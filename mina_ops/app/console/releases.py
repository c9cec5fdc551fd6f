"""The newest release in the form of the page, from what its controller reported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mina_ops.app.context import Context
from mina_ops.app.releases.reports import ReleaseReports

SILENT_SECONDS = 15.0
"""A controller reports every two seconds; after this silence nobody is at work."""

PHASES = (
    *("checks", "backup", "migrate", "start", "health", "smoke"),
    *("shadow", "switch", "drain", "watch"),
)
_FAILED = ("failed", "rolled_back", "rolling_back")
_LAST_ORDERS = 5

Body = dict[str, Any]


def newest_release(context: Context) -> Body | None:
    """The page's `release`; None: nobody reported one. Raises StateUnavailable."""
    reports = ReleaseReports(context.store, context.clock)
    found = reports.newest()
    if not found:
        return None
    return shaped(found[0], reports.requests(str(found[0]["id"])))


def shaped(report: Mapping[str, Any], requests: list[dict[str, str]]) -> Body:
    """A report and the requests to its controller, as the page shows them. Pure."""
    verdicts = [one for one in report.get("verdicts", ()) if isinstance(one, Mapping)]
    missing = [str(one.get("reason")) for one in verdicts if one.get("verdict") == "no_data"]
    reasons = [str(reason) for reason in report.get("reasons") or ()]
    lines = [str(line) for line in report.get("lines") or ()]
    heard_at = float(report.get("heard_at", 0.0))
    return {
        **{name: report.get(name) for name in ("id", "version", "from", "to", "phase")},
        "by": report.get("who", ""),
        "phases": _phases(str(report.get("phase"))),
        "percent": report.get("percent"),
        "ended": bool(report.get("ended")),
        "paused": bool(report.get("paused")) and not report.get("ended"),
        "waits_for": "; ".join(missing) or None,
        "reason": "; ".join(reasons) or (lines[-1] if lines else None),
        "triggers": [
            {"name": one.get("trigger"), "verdict": one.get("verdict"), "says": one.get("reason")}
            for one in verdicts
        ],
        "seconds_left": report.get("seconds_left"),
        "flags": [],
        "heard_at": heard_at,
        "orders": [_order(request, heard_at) for request in requests[-_LAST_ORDERS:]],
    }


def with_age(release: Mapping[str, Any], now: float) -> Body:
    """A release with how long its controller has been silent, and whether that is too long."""
    silent = max(0.0, now - float(release["heard_at"]))
    alive = bool(release["ended"]) or silent < SILENT_SECONDS
    return {**release, "heard_seconds": round(silent, 1), "alive": alive}


def _phases(present: str) -> list[Body]:
    if present == "done":
        return [{"name": name, "state": "done"} for name in PHASES]
    if present in _FAILED:
        return [{"name": present, "text": present.replace("_", " "), "state": "failed"}]
    at = PHASES.index(present) if present in PHASES else -1
    states = ["done"] * at + ["now"] + ["waiting"] * (len(PHASES) - at - 1)
    return [{"name": n, "state": state} for n, state in zip(PHASES, states, strict=False)]


def _order(request: Mapping[str, str], heard_at: float) -> Body:
    # A report that was heard after the request had its answer, and with it the request.
    at = float(request.get("at") or 0.0)
    return {
        "order": request.get("kind"),
        "by": request.get("who"),
        "at": at,
        "taken": heard_at > at,
    }
