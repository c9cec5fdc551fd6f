"""The colour's figures as Prometheus text or OpenMetrics.

Counters hold what all processes of the colour counted under this release, read from the shared
store, so each process gives the same answer and none forgets what a dead one counted. Names
follow OpenTelemetry's HTTP conventions; ratios are 0 to 1. What has no data is absent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from mina_ops.app.metrics import fields
from mina_ops.app.metrics.fields import Amounts
from mina_ops.app.metrics.figures import Figures
from mina_ops.app.metrics.gauges import Gauge
from mina_ops.app.metrics.histogram import quantile
from mina_ops.app.metrics.recorder import BOUNDS
from mina_ops.app.web.answers import Answer, ProbeRequest

_COLOUR = ("environment", "version")
_HTTP = (*_COLOUR, "http_request_method", "http_response_status_code", "http_route", "error_type")
_QUANTILES = (0.5, 0.95, 0.99, 0.999)


class Exposition:
    """Answers a scrape in the format that its Accept header asks for."""

    def __init__(self, figures: Figures, gauges: Sequence[Gauge]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_ColourCollector(figures, gauges))

    def __call__(self, request: ProbeRequest) -> Answer:
        encode, content_type = choose_encoder(request.header("Accept") or "")
        return Answer(200, encode(self._registry), content_type=content_type)


class _ColourCollector(Collector):
    def __init__(self, figures: Figures, gauges: Sequence[Gauge]) -> None:
        self._figures = figures
        self._own_gauges = gauges

    def describe(self) -> list[Metric]:
        return []  # no reading of the store when it is registered

    def collect(self) -> Iterator[Metric]:
        figures = self._figures
        colour = [figures.identity.environment, figures.identity.version]
        total = figures.total()
        yield from _counters(total.amounts, colour)
        yield from _lately(figures, colour)
        yield from _gauges(figures, colour, stale=total.stale)
        yield from _own_gauges(self._own_gauges, colour)
        info = InfoMetricFamily("mina_build", "Colour and release that answer.", labels=_COLOUR)
        info.add_metric(colour, {})
        yield info


def _counters(amounts: Amounts, colour: list[str]) -> Iterator[Metric]:
    yield _durations(amounts, colour)
    handshakes = CounterMetricFamily(
        "mina_websocket_handshakes",
        "Socket.IO handshakes by result.",
        labels=(*_COLOUR, "result"),
    )
    for result, count in fields.below(amounts, fields.WEBSOCKET):
        handshakes.add_metric([*colour, result], count)
    yield handshakes
    outcomes = CounterMetricFamily(
        "mina_outcomes", "Outcomes that the app told.", labels=(*_COLOUR, "outcome", "result")
    )
    for name, count in fields.below(amounts, fields.OUTCOME):
        outcome, _, result = name.rpartition(":")
        outcomes.add_metric([*colour, outcome, "success" if result == "ok" else "failure"], count)
    yield outcomes
    refused = CounterMetricFamily(
        "mina_refused",
        "Requests to admin endpoints that were refused.",
        labels=(*_COLOUR, "reason"),
    )
    for reason, count in fields.below(amounts, fields.REFUSED):
        refused.add_metric([*colour, reason], count)
    yield refused


def _durations(amounts: Amounts, colour: list[str]) -> Metric:
    family = HistogramMetricFamily(
        "http_server_request_duration_seconds",
        "Time from a request's call to the close of its response.",
        labels=_HTTP,
    )
    counts: dict[tuple[str, str, str], dict[int, float]] = defaultdict(dict)
    for name, count in fields.below(amounts, fields.REQUESTS):
        method, status, bound, route = name.split(":", 3)
        counts[method, status, route][int(bound)] = count
    for (method, status, route), by_bound in sorted(counts.items()):
        buckets, seen = [], 0.0
        for index, bound in enumerate((*map(str, BOUNDS), "+Inf")):
            seen += by_bound.get(index, 0.0)
            buckets.append((bound, seen))
        error = status if status.startswith("5") else ""
        seconds = amounts.get(f"{fields.TIME}{method}:{status}:{route}", 0.0)
        family.add_metric([*colour, method, status, route, error], buckets, seconds)
    return family


def _lately(figures: Figures, colour: list[str]) -> Iterator[Metric]:
    """What the JSON endpoints say of the last five minutes, as ratios and seconds."""
    amounts = figures.window(figures.identity.environment, 300).amounts
    counts = fields.durations(amounts)
    requests = sum(counts.values())
    quantiles = GaugeMetricFamily(
        "mina_request_duration_quantile_seconds",
        "Request duration of the last five minutes, within 1 %.",
        labels=(*_COLOUR, "q"),
    )
    errors = GaugeMetricFamily(
        "mina_error_ratio", "Share of requests that failed, last five minutes.", labels=_COLOUR
    )
    if requests:
        errors.add_metric(colour, amounts.get(fields.ERRORS, 0.0) / requests)
        for q in _QUANTILES:
            quantiles.add_metric([*colour, str(q)], quantile(counts, q) or 0.0)
    yield quantiles
    yield errors
    yield _recent("requests", "Requests", colour, requests)
    yield from _success(amounts, colour)


def _success(amounts: Amounts, colour: list[str]) -> Iterator[Metric]:
    handshakes = {
        result: amount
        for result, amount in fields.below(amounts, fields.WEBSOCKET)
        if result not in fields.TURNED_AWAY
    }
    websockets = GaugeMetricFamily(
        "mina_websocket_success_ratio",
        "Share of Socket.IO handshakes accepted, last five minutes.",
        labels=_COLOUR,
    )
    if handshakes:
        accepted = handshakes.get(fields.ACCEPTED, 0.0)
        websockets.add_metric(colour, accepted / sum(handshakes.values()))
    yield websockets
    yield _recent("handshakes", "Socket.IO handshakes", colour, sum(handshakes.values()))
    results: dict[str, dict[str, float]] = defaultdict(dict)
    for name, count in fields.below(amounts, fields.OUTCOME):
        outcome, _, result = name.rpartition(":")
        results[outcome][result] = count
    outcomes = GaugeMetricFamily(
        "mina_outcome_success_ratio",
        "Share of an outcome's attempts that succeeded, last five minutes.",
        labels=(*_COLOUR, "outcome"),
    )
    attempts = GaugeMetricFamily(
        "mina_recent_outcomes",
        "Attempts at an outcome, last five minutes.",
        labels=(*_COLOUR, "outcome"),
    )
    for outcome, by_result in sorted(results.items()):
        attempts.add_metric([*colour, outcome], sum(by_result.values()))
        outcomes.add_metric([*colour, outcome], by_result.get("ok", 0) / sum(by_result.values()))
    yield outcomes
    yield attempts


def _recent(name: str, what: str, colour: list[str], number: float) -> Metric:
    """How many a ratio is made of: one failure among nine is no reason to wake anybody."""
    family = GaugeMetricFamily(f"mina_recent_{name}", f"{what}, last five minutes.", labels=_COLOUR)
    if number:
        family.add_metric(colour, number)
    return family


def _gauges(figures: Figures, colour: list[str], *, stale: bool) -> Iterator[Metric]:
    active = figures.active_sessions(figures.identity.environment)
    values = {
        "mina_active_sessions": (
            "Active sessions, as the app counts them.",
            active["active_sessions"],
        ),
        "mina_reporters": ("Live processes of the colour.", active["reporters"]),
        "mina_metrics_stale": ("1 while the shared store is away.", int(stale or active["stale"])),
    }
    for name, (text, value) in values.items():
        gauge = GaugeMetricFamily(name, text, labels=_COLOUR)
        if value is not None:
            gauge.add_metric(colour, value)
        yield gauge


def _own_gauges(gauges: Sequence[Gauge], colour: list[str]) -> Iterator[Metric]:
    for gauge in gauges:
        family = CounterMetricFamily if gauge.name.endswith("_total") else GaugeMetricFamily
        made = family(gauge.name, gauge.text, labels=(*_COLOUR, *gauge.labels))
        for labels, value in gauge.read().items():
            made.add_metric([*colour, *labels], value)
        yield made
