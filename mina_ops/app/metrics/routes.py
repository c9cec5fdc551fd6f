"""The metrics endpoints, answered below Flask."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Set

from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.metrics import answers, windows
from mina_ops.app.metrics.answers import Body
from mina_ops.app.metrics.component import Metrics
from mina_ops.app.metrics.contract import contract, query
from mina_ops.app.metrics.figures import Figures
from mina_ops.app.metrics.prometheus import Exposition
from mina_ops.app.metrics.views import View
from mina_ops.app.web.answers import Answer, Probe, ProbeRequest
from mina_ops.app.web.openapi.check import query_values
from mina_ops.app.web.openapi.operations import Contract
from mina_ops.errors import NotFound

_OUTCOMES = "/api/metrics/outcomes/"


class MetricRoutes(Component):
    """`/api/metrics/...` and the Prometheus text."""

    name = "metrics.routes"

    def __init__(self, context: Context, metrics: Metrics) -> None:
        self._prometheus_path = context.settings.prometheus_path
        self._app = context.app
        self._metrics = metrics

    def openapi(self) -> Contract:
        identity = self._metrics.figures.identity
        return contract(identity.colours, identity.environment, self._prometheus_path)

    def probes(self) -> Mapping[str, Probe]:
        found = json_probes(self._metrics.figures)
        if not self._prometheus_path:
            return found
        exposition = Exposition(self._metrics.figures, self._metrics.gauges)
        return {**found, self._prometheus_path: exposition}

    def left_to_host(self) -> Set[str]:
        """The path of the Prometheus text, unless the setting asks for it: exporters use it too."""
        key = "MINA_OPS_PROMETHEUS_PATH"
        asked_for = self._app.config.get(key) is not None or key in os.environ
        return set() if asked_for or not self._prometheus_path else {self._prometheus_path}


def json_probes(figures: Figures) -> Mapping[str, Probe]:
    """Path -> probe of every JSON endpoint."""

    def shows(body: Callable[[View], Body]) -> Probe:
        def answer(request: ProbeRequest) -> Answer:
            colour, window = _asked(request, figures)
            view = figures.window(colour, window)
            return Answer(200, {**body(view), **figures.about(colour, window, view)})

        return answer

    def outcome(name: str, rate_key: str) -> Probe:
        return shows(lambda view: answers.outcome(view.amounts, name, rate_key))

    return {
        "/api/metrics/errors": _errors(figures),
        "/api/metrics/performance": shows(answers.performance),
        "/api/metrics/histogram": shows(lambda view: answers.histogram(view.amounts)),
        "/api/metrics/websockets": shows(lambda view: answers.websockets(view.amounts)),
        "/api/metrics/sessions/active": _active(figures),
        "/api/metrics/transcriptions/completion_rate": outcome("transcription", "completion_rate"),
        "/api/metrics/ai/insights_success_rate": outcome("ai_insights", "insights_success_rate"),
        _OUTCOMES: _any_outcome(figures, outcome),
    }


def _errors(figures: Figures) -> Probe:
    def answer(request: ProbeRequest) -> Answer:
        colour, window = _asked(request, figures)
        view = figures.window(colour, window)
        five_minutes = figures.window(colour, windows.DEFAULT_SECONDS)
        body = answers.errors(five_minutes.amounts, "_5min") | answers.errors(view.amounts)
        return Answer(200, {**body, **figures.about(colour, window, view)})

    return answer


def _any_outcome(figures: Figures, outcome: Callable[[str, str], Probe]) -> Probe:
    def answer(request: ProbeRequest) -> Answer:
        name = request.path.removeprefix(_OUTCOMES)
        colour, _ = _asked(request, figures)
        if name not in figures.outcome_names(colour):
            raise NotFound(
                f"No process of {colour} has an outcome {name[:64]!r}; "
                "a host makes one with ops.outcome(name)."
            )
        return outcome(name, "success_rate")(request)

    return answer


def _active(figures: Figures) -> Probe:
    def answer(request: ProbeRequest) -> Answer:
        colour, _ = _asked(request, figures)
        return Answer(200, figures.active_sessions(colour))

    return answer


def _asked(request: ProbeRequest, figures: Figures) -> tuple[str, int]:
    """The colour and window that a request asks for; raises `InvalidRequest`."""
    identity = figures.identity
    asked = query_values(request.query, query(identity.colours, identity.environment))
    return asked["environment"], int(asked["window"])
