"""The metrics endpoints, answered below Flask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mina_ops.app.metrics import answers, windows
from mina_ops.app.metrics.answers import Body
from mina_ops.app.metrics.views import View
from mina_ops.app.web.answers import Answer, Probe, ProbeRequest
from mina_ops.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from mina_ops.app.metrics.component import Metrics

_OUTCOMES = "/api/metrics/outcomes/"


def probes(metrics: Metrics) -> Mapping[str, Probe]:
    """Path -> probe of every JSON endpoint."""

    def shows(body: Callable[[View], Body]) -> Probe:
        def answer(request: ProbeRequest) -> Answer:
            colour, window = _asked(request, metrics)
            view = metrics.window(colour, window)
            return Answer(200, {**body(view), **metrics.about(colour, window, view)})

        return answer

    def outcome(name: str, rate_key: str) -> Probe:
        return shows(lambda view: answers.outcome(view.amounts, name, rate_key))

    return {
        "/api/metrics/errors": _errors(metrics),
        "/api/metrics/performance": shows(answers.performance),
        "/api/metrics/histogram": shows(lambda view: answers.histogram(view.amounts)),
        "/api/metrics/websockets": shows(lambda view: answers.websockets(view.amounts)),
        "/api/metrics/sessions/active": _active(metrics),
        "/api/metrics/transcriptions/completion_rate": outcome("transcription", "completion_rate"),
        "/api/metrics/ai/insights_success_rate": outcome("ai_insights", "insights_success_rate"),
        _OUTCOMES: _any_outcome(metrics, outcome),
    }


def _errors(metrics: Metrics) -> Probe:
    def answer(request: ProbeRequest) -> Answer:
        colour, window = _asked(request, metrics)
        view = metrics.window(colour, window)
        five_minutes = metrics.window(colour, windows.DEFAULT_SECONDS)
        body = answers.errors(five_minutes.amounts, "_5min") | answers.errors(view.amounts)
        return Answer(200, {**body, **metrics.about(colour, window, view)})

    return answer


def _any_outcome(metrics: Metrics, outcome: Callable[[str, str], Probe]) -> Probe:
    def answer(request: ProbeRequest) -> Answer:
        name = request.path.removeprefix(_OUTCOMES)
        colour, _ = _asked(request, metrics)
        if name not in metrics.outcome_names(colour):
            raise NotFound(
                f"No process of {colour} has an outcome {name[:64]!r}; "
                "a host makes one with ops.outcome(name)."
            )
        return outcome(name, "success_rate")(request)

    return answer


def _active(metrics: Metrics) -> Probe:
    def answer(request: ProbeRequest) -> Answer:
        colour, _ = _asked(request, metrics)
        return Answer(200, metrics.active(colour))

    return answer


def _asked(request: ProbeRequest, metrics: Metrics) -> tuple[str, int]:
    """The colour and window that a request asks for; raises `InvalidRequest`."""
    query = request.query
    for name in query:
        if name not in ("environment", "window"):
            raise InvalidRequest(
                "Unknown parameter; known are 'environment' and 'window'.", field=name
            )
    colour = query.get("environment", metrics.environment)
    if colour not in metrics.colours:
        raise InvalidRequest(
            f"'environment' must be one of {', '.join(metrics.colours)}.", field="environment"
        )
    return colour, windows.parse_window(query.get("window"))
