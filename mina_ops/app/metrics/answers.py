"""Bodies of the metrics endpoints, made from amounts. Rates are percent, 0 to 100."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mina_ops.app.metrics import clients, fields
from mina_ops.app.metrics.fields import Amounts
from mina_ops.app.metrics.histogram import duration, quantile
from mina_ops.app.metrics.views import View

Body = dict[str, Any]

QUANTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


def percent(part: float, whole: float) -> float | None:
    """Part of a whole in percent, to 4 decimals; None of nothing."""
    return round(100 * part / whole, 4) if whole else None


def errors(amounts: Amounts, suffix: str = "") -> Body:
    """Requests, errors and error rate, their names ended by `suffix`; and the samples."""
    requests = int(sum(fields.durations(amounts).values()))
    failed = int(amounts.get(fields.ERRORS, 0))
    return {
        f"error_rate{suffix}": percent(failed, requests),
        f"errors{suffix}": failed,
        f"requests{suffix}": requests,
        "samples": requests,
    }


def performance(view: View) -> Body:
    """Quantiles in milliseconds, within 1 %, and requests a second over what the view covers."""
    counts = fields.durations(view.amounts)
    samples = int(sum(counts.values()))
    body: Body = {}
    for name, q in QUANTILES.items():
        seconds = quantile(counts, q)
        body[name] = None if seconds is None else round(seconds * 1000, 3)
    rate = samples / view.covered_seconds if samples and view.covered_seconds else None
    body["requests_per_second"] = None if rate is None else round(rate, 3)
    return {**body, "samples": samples}


def histogram(amounts: Amounts) -> Body:
    """[milliseconds, requests] of each bucket, ascending; a bucket's value is within 1 %.

    `reads_ms` are GETs and HEADs alone: what a release mirrors is compared with them.
    """
    counts = fields.durations(amounts)
    return {
        "histogram_ms": _pairs(counts),
        "reads_ms": _pairs(fields.read_durations(amounts)),
        "samples": int(sum(counts.values())),
    }


def _pairs(counts: Mapping[int, float]) -> list[list[float]]:
    return [[round(duration(index) * 1000, 6), int(n)] for index, n in sorted(counts.items())]


def websockets(amounts: Amounts) -> Body:
    """Success of Socket.IO handshakes; those that were only sent elsewhere are no failures.

    Failures are told apart by who is to blame: by the server they count one by one, by what
    clients sent once for each client, since one that fails may try for ever.
    """
    results = {name: int(amount) for name, amount in fields.below(amounts, fields.WEBSOCKET)}
    accepted = results.pop(fields.ACCEPTED, 0)
    draining = sum(results.pop(reason, 0) for reason in fields.TURNED_AWAY)
    attempts = accepted + sum(results.values())
    by_server = sum(count for name, count in results.items() if fields.is_by_server(name))
    return {
        "connection_success_rate": percent(accepted, attempts),
        "attempts": attempts,
        "accepted": accepted,
        "failures": results,
        "failed_by_server": by_server,
        "failing_clients": min(clients.count(amounts), attempts - accepted - by_server),
        "refused_while_draining": draining,
        "samples": attempts,
    }


def outcome(amounts: Amounts, name: str, rate_key: str) -> Body:
    """Success of a named outcome; `rate_key` names the rate."""
    succeeded = int(amounts.get(fields.outcome(name, True), 0))
    failed = int(amounts.get(fields.outcome(name, False), 0))
    samples = succeeded + failed
    rate = percent(succeeded, samples)
    return {rate_key: rate, "successes": succeeded, "failures": failed, "samples": samples}
