"""The metrics endpoints in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping

from mina_ops.app.metrics.windows import DEFAULT_SECONDS, LONGEST_SECONDS, SHORTEST_SECONDS
from mina_ops.app.web.openapi.forms import (
    ABOUT,
    COUNT,
    NAME,
    NUMBER,
    NUMBER_OR_NULL,
    PERCENT_OR_NULL,
    TEXT,
    Schema,
    keyed,
    listed,
    record,
)
from mina_ops.app.web.openapi.operations import (
    HEADERS,
    STATUS,
    Contract,
    Operation,
    in_path,
    operation,
    parameters,
)

WINDOW: Schema = {
    "type": "integer",
    "minimum": SHORTEST_SECONDS,
    "maximum": LONGEST_SECONDS,
    "default": DEFAULT_SECONDS,
    "description": "Seconds.",
}


def query(colours: tuple[str, ...], own: str) -> Mapping[str, Schema]:
    """The parameters of every metrics endpoint."""
    colour: Schema = {
        "enum": list(colours),
        "default": own,
        "description": "Whose figures; default: this colour's.",
    }
    return {"environment": colour, "window": WINDOW}


def _outcome(rate: str) -> Schema:
    return record({rate: PERCENT_OR_NULL, "successes": COUNT, "failures": COUNT, **ABOUT})


_PAIRS = listed(listed(NUMBER, minItems=2, maxItems=2))
SCHEMAS: Mapping[str, Schema] = {
    "Errors": record(
        {
            **dict.fromkeys(("error_rate_5min", "error_rate"), PERCENT_OR_NULL),
            **dict.fromkeys(("errors_5min", "requests_5min", "errors", "requests"), COUNT),
            **ABOUT,
        }
    ),
    "Performance": record(
        {
            **dict.fromkeys(("p50_ms", "p95_ms", "p99_ms"), NUMBER_OR_NULL),
            "requests_per_second": NUMBER_OR_NULL,
            **ABOUT,
        }
    ),
    "Histogram": record({**dict.fromkeys(("histogram_ms", "reads_ms"), _PAIRS), **ABOUT}),
    "Websockets": record(
        {
            "connection_success_rate": PERCENT_OR_NULL,
            **dict.fromkeys(("attempts", "accepted", "refused_while_draining"), COUNT),
            **dict.fromkeys(("failed_by_server", "failing_clients"), COUNT),
            "failures": keyed(COUNT),
            **ABOUT,
        }
    ),
    "ActiveSessions": record({"active_sessions": {"type": ["integer", "null"]}, **ABOUT}),
    "CompletionRate": _outcome("completion_rate"),
    "InsightsSuccessRate": _outcome("insights_success_rate"),
    "OutcomeRate": _outcome("success_rate"),
}


def contract(colours: tuple[str, ...], own: str, prometheus_path: str | None) -> Contract:
    """What `/api/metrics/...` and the Prometheus text take and answer."""
    asked = parameters(query(colours, own))
    found: dict[str, dict[str, Operation]] = {}
    for name, summary, body in (
        ("errors", "Requests and errors.", "Errors"),
        ("performance", "Quantiles of request durations.", "Performance"),
        ("histogram", "Request durations, by buckets of 2 %.", "Histogram"),
        ("websockets", "Success of Socket.IO handshakes.", "Websockets"),
        ("sessions/active", "Active sessions, as the host counts them.", "ActiveSessions"),
        ("transcriptions/completion_rate", "Completed transcriptions.", "CompletionRate"),
        ("ai/insights_success_rate", "Successful AI insights.", "InsightsSuccessRate"),
    ):
        made = operation(summary, "metrics", {200: body}, 400, parameters=asked)
        found[f"/api/metrics/{name}"] = {"get": made}
    named = (*asked, in_path("name", NAME))
    rate = "Success rate of any outcome that the host records."
    made = operation(rate, "metrics", {200: "OutcomeRate"}, 400, 404, parameters=named)
    found["/api/metrics/outcomes/{name}"] = {"get": made}
    if prometheus_path:
        found[prometheus_path] = {"get": _scrape()}
    return Contract(found, SCHEMAS)


def _scrape() -> Operation:
    text = {"text/plain": {"schema": TEXT}, "application/openmetrics-text": {"schema": TEXT}}
    made = operation("Figures as Prometheus or OpenMetrics text.", "metrics", {})
    made["responses"]["200"] = {"description": STATUS[200], "content": text, "headers": HEADERS}
    return made
