"""Bodies of the health endpoints, in our own form or in that of the IETF's draft."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from mina_ops.app.health.model import (
    DEGRADED,
    DISABLED,
    HEALTHY,
    UNCERTAIN,
    UNHEALTHY,
    WARNING,
    overall,
)
from mina_ops.app.health.monitor import Monitor
from mina_ops.app.web.answers import Answer

HEALTH_JSON = "application/health+json"
RETRY_SECONDS = "1"
_STALE_FACTOR = 3
_IETF = {HEALTHY: "pass", WARNING: "warn", UNCERTAIN: "warn", UNHEALTHY: "fail", DEGRADED: "warn"}
_PLAYBOOK = ("database", "redis", "openai", "websockets", "disk_space")
_DATASTORES = ("database", "redis", "migrations")


def fit_answer(fit: bool, body: object, *, content_type: str | None = None) -> Answer:
    """200, or 503 with `Retry-After`; its form depends on `Accept`."""
    headers = {"Vary": "Accept"} if fit else {"Vary": "Accept", "Retry-After": RETRY_SECONDS}
    more = {"content_type": content_type} if content_type else {}
    return Answer(200 if fit else 503, body, headers, **more)


def states_of(monitors: Iterable[Monitor]) -> dict[str, str]:
    """Name -> healthy, unhealthy, unknown or disabled."""
    return {monitor.check.name: monitor.reading.state for monitor in monitors}


def judge(monitors: Iterable[Monitor]) -> tuple[str, bool]:
    """The status of all together, and whether it is fit to serve."""
    known = list(monitors)
    critical = frozenset(monitor.check.name for monitor in known if monitor.critical)
    return overall(states_of(known), critical)


def shown(monitor: Monitor, *, verbose: bool) -> bool:
    """Whether `/api/health` lists a check; of those that are disabled, the playbook's five."""
    return verbose or monitor.reading.state != DISABLED or monitor.check.name in _PLAYBOOK


def warnings(monitors: Iterable[Monitor]) -> dict[str, str]:
    """Name -> why somebody should look at a check that is fit all the same."""
    last = {monitor.check.name: monitor.reading for monitor in monitors}
    return {
        name: str(reading.last.data["reason"])
        for name, reading in last.items()
        if reading.state == WARNING and reading.last is not None and "reason" in reading.last.data
    }


def check_body(monitor: Monitor, *, verbose: bool, detail: bool) -> dict[str, Any]:
    """One check as `/api/health` shows it; `detail` is for admins alone."""
    body: dict[str, Any] = {"status": monitor.reading.state, **_facts(monitor)}
    if verbose:
        body |= _verbose(monitor)
    if detail:
        body |= _detail(monitor)
    return body


def component_body(monitor: Monitor, *, verbose: bool, detail: bool) -> dict[str, Any]:
    """One check as its own endpoint shows it, in that endpoint's words."""
    good, bad = monitor.check.words
    words = {HEALTHY: good, UNHEALTHY: bad}
    body = check_body(monitor, verbose=verbose, detail=detail)
    return {**body, "status": words.get(monitor.reading.state, monitor.reading.state)}


def _facts(monitor: Monitor) -> dict[str, Any]:
    last = monitor.reading.last
    facts: dict[str, Any] = dict(monitor.check.facts)
    if last is None:
        return facts
    if last.latency_seconds is not None:
        facts["latency_ms"] = round(last.latency_seconds * 1000, 2)
    facts |= last.data
    age = max(0.0, time.monotonic() - last.ended)
    facts["age_seconds"] = round(age, 1)
    if others := monitor.vouched_by(time.monotonic()):
        facts["vouched_by"] = others
    elif age > _STALE_FACTOR * monitor.check.ttl_seconds + monitor.check.deadline_seconds:
        facts["stale"] = True
    if not last.ok:
        facts["error"] = last.error
        facts["correlation_id"] = last.correlation_id
    return facts


def _verbose(monitor: Monitor) -> dict[str, Any]:
    check, reading = monitor.check, monitor.reading
    return {
        "critical": monitor.critical,
        "groups": sorted(check.groups),
        "deadline_seconds": check.deadline_seconds,
        "ttl_seconds": check.ttl_seconds,
        "runs": reading.runs,
        "failures": reading.failures,
        "abandoned_runs": reading.abandoned,
        "hangs": reading.hangs,
    }


def _detail(monitor: Monitor) -> dict[str, Any]:
    last = monitor.reading.last
    return {"detail": last.detail} if last is not None and last.detail else {}


def ietf_body(
    status: str, fit: bool, monitors: Iterable[Monitor], identity: Mapping[str, str], uptime: float
) -> dict[str, Any]:
    """The same in the form of draft-inadarei-api-health-check-06."""
    checks = {
        f"{monitor.check.name}:responseTime": [_ietf_check(monitor)]
        for monitor in monitors
        if monitor.reading.state != DISABLED
    }
    seconds = {"componentType": "system", "observedValue": round(uptime, 1), "observedUnit": "s"}
    return {
        "status": "pass" if status == HEALTHY else "warn" if fit else "fail",
        "releaseId": identity["version"],
        "serviceId": identity["environment"],
        "checks": {**checks, "uptime": [{**seconds, "status": "pass"}]},
    }


def _ietf_check(monitor: Monitor) -> dict[str, Any]:
    reading, last = monitor.reading, monitor.reading.last
    kind = "datastore" if monitor.check.name in _DATASTORES else "component"
    status = _IETF.get(reading.state, "fail")
    if status == "fail" and not monitor.critical:
        status = "warn"
    body: dict[str, Any] = {
        "componentId": monitor.check.name,
        "componentType": kind,
        "status": status,
    }
    if last is not None:
        seen = datetime.now(UTC) - timedelta(seconds=max(0.0, time.monotonic() - last.ended))
        body["time"] = seen.isoformat(timespec="milliseconds")
        if last.latency_seconds is not None:
            body |= {
                "observedValue": round(last.latency_seconds * 1000, 2),
                "observedUnit": "ms",
            }
        if not last.ok:
            body["output"] = f"{last.error}, correlation id {last.correlation_id}"
    return body
