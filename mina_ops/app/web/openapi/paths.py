"""Every endpoint: its parameters, bodies and statuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mina_ops.app.web.openapi import leases, releases
from mina_ops.app.web.openapi.forms import FLAG, KEY, NAME, NUMBER, TEXT, ref

Operation = dict[str, Any]

JSON = "application/json"
PROBLEM = "application/problem+json"
_STATUS = {
    200: "Done.",
    201: "A new flag.",
    202: "Begun, or not yet applied by every process.",
    304: "Not changed since the ETag that was sent.",
    400: "A parameter or field is wrong; `field` names it.",
    401: "Nobody is logged in and no known token came along.",
    403: "Not an admin, or the request came from another site.",
    404: "There is no such thing.",
    409: "Refused in the present state.",
    412: "It changed since it was read (`If-Match`).",
    413: "The body is too large.",
    503: "Not fit now, or the shared state is away; retry after `Retry-After` seconds.",
}
_ADMIN = (401, 403)
_HEADERS = {
    "Cache-Control": {"schema": TEXT},
    "X-Content-Type-Options": {"schema": {"const": "nosniff"}},
    "X-Mina-Environment": {"schema": TEXT},
    "X-Mina-Version": {"schema": TEXT},
}


def paths(colours: list[str], prometheus_path: str | None) -> dict[str, dict[str, Operation]]:
    """Path -> method -> operation."""
    found = {**_health(), **_metrics(colours), **_flags(), **_admin()}
    if prometheus_path:
        text = {"text/plain": {"schema": TEXT}, "application/openmetrics-text": {"schema": TEXT}}
        scrape = _operation("Figures as Prometheus or OpenMetrics text.", "metrics", {})
        scrape["responses"]["200"] = {
            "description": _STATUS[200],
            "content": text,
            "headers": _HEADERS,
        }
        found[prometheus_path] = {"get": scrape}
    return found


def _operation(
    summary: str,
    tag: str,
    bodies: Mapping[int, str],
    *problems: int,
    parameters: tuple[Operation, ...] = (),
    body: str | None = None,
    needs_body: bool = True,
) -> Operation:
    answers = {str(status): _answer(status, JSON, ref(name)) for status, name in bodies.items()}
    for status in problems:
        answers[str(status)] = _answer(status, PROBLEM, ref("Problem"))
    operation: Operation = {"summary": summary, "tags": [tag], "responses": answers}
    if parameters:
        operation["parameters"] = list(parameters)
    if body:
        content = {JSON: {"schema": ref(body)}}
        operation["requestBody"] = {"required": needs_body, "content": content}
    if set(_ADMIN) <= set(problems):
        operation["security"] = [{"bearer": []}, {"session": []}]
    return operation


def _answer(status: int, content_type: str, schema: Operation) -> Operation:
    headers = dict(_HEADERS)
    if status == 503:
        headers["Retry-After"] = {"schema": {"type": "string", "pattern": "^[0-9]+$"}}
    content = {content_type: {"schema": schema}}
    return {"description": _STATUS[status], "headers": headers, "content": content}


def _query(name: str, schema: Operation, description: str = "") -> Operation:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _in_path(name: str, schema: Operation) -> Operation:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _health() -> dict[str, dict[str, Operation]]:
    verbose = _query("verbose", FLAG, "How each check is run; detail for admins.")
    exclude = _query("exclude", TEXT, "Checks that are neither shown nor counted; repeatable.")
    whole = _operation(
        "All checks; 503 if a critical one fails.",
        "health",
        {200: "Health", 503: "Health"},
        404,
        parameters=(verbose, exclude, _query("group", TEXT, "Only checks of this group.")),
    )
    for status in ("200", "503"):
        draft = {"schema": ref("HealthDraft")}
        whole["responses"][status]["content"]["application/health+json"] = draft
    found = {"/api/health": {"get": whole}}
    for name, summary, bodies in (
        ("live", "Does this process answer? Asks no dependency.", {200: "Live"}),
        ("ready", "May it get traffic?", {200: "Ready", 503: "Ready"}),
        ("started", "Is its first round of checks over?", {200: "Started", 503: "Started"}),
        ("db", "The database.", {200: "Component", 503: "Component"}),
        ("redis", "The shared state.", {200: "Component", 503: "Component"}),
        ("openai", "The AI service; never a billed call.", {200: "Component", 503: "Component"}),
        ("websockets", "The Socket.IO server.", {200: "Component", 503: "Component"}),
        ("disk", "Free disk space.", {200: "Component", 503: "Component"}),
        ("migrations", "Revision against code.", {200: "Component", 503: "Component"}),
    ):
        found[f"/api/health/{name}"] = {"get": _operation(summary, "health", bodies)}
    own = _operation(
        "A check of the host's own.",
        "health",
        {200: "Component", 503: "Component"},
        404,
        parameters=(_in_path("check", {"type": "string", "pattern": "^[a-z0-9_-]{1,40}$"}),),
    )
    # The fixed paths above are names that a check of the host cannot have.
    own["responses"]["200"]["content"][JSON]["schema"] = {
        "anyOf": [ref(name) for name in ("Component", "Live", "Ready", "Started")]
    }
    found["/api/health/{check}"] = {"get": own}
    return found


def _metrics(colours: list[str]) -> dict[str, dict[str, Operation]]:
    asked = (
        _query("environment", {"enum": colours}, "Whose figures; default: this colour's."),
        _query("window", {"type": "integer", "minimum": 1, "maximum": 3600}, "Seconds; 300."),
    )
    found = {}
    for name, summary, body in (
        ("connections", "Live Socket.IO sessions of the colour.", "Connections"),
        ("errors", "Requests and errors.", "Errors"),
        ("performance", "Quantiles of request durations.", "Performance"),
        ("histogram", "Request durations, by buckets of 2 %.", "Histogram"),
        ("websockets", "Success of Socket.IO handshakes.", "Websockets"),
        ("sessions/active", "Active sessions, as the host counts them.", "ActiveSessions"),
        ("transcriptions/completion_rate", "Completed transcriptions.", "CompletionRate"),
        ("ai/insights_success_rate", "Successful AI insights.", "InsightsSuccessRate"),
    ):
        operation = _operation(summary, "metrics", {200: body}, 400, parameters=asked)
        found[f"/api/metrics/{name}"] = {"get": operation}
    named = (*asked, _in_path("name", NAME))
    rate = "Success rate of any outcome that the host records."
    operation = _operation(rate, "metrics", {200: "OutcomeRate"}, 400, 404, parameters=named)
    found["/api/metrics/outcomes/{name}"] = {"get": operation}
    return found


def _flags() -> dict[str, dict[str, Operation]]:
    own = _operation("The caller's flags.", "flags", {200: "EvaluatedFlags"})
    own["parameters"] = [{"name": "If-None-Match", "in": "header", "schema": TEXT}]
    own["responses"]["304"] = {"description": _STATUS[304]}
    key, match = _in_path("key", KEY), {"name": "If-Match", "in": "header", "schema": TEXT}
    limit = _query("limit", {"type": "integer", "minimum": 1, "maximum": 1000})
    confirm = _query("confirm_seconds", {"type": "number", "minimum": 0, "maximum": 30})
    days = _query("days", {"type": "number", "minimum": 0, "maximum": 36500})
    chosen = (_query("prefix", TEXT), _query("release", TEXT))

    def read(summary: str, shows: str, *problems: int, **more: Any) -> Operation:
        return _operation(summary, "flags", {200: shows}, *_ADMIN, *problems, **more)

    def write(summary: str, shows: str, *problems: int, **more: Any) -> Operation:
        answers = {200: shows, 202: shows, **({201: shows} if shows == "FlagChanged" else {})}
        known = (400, *_ADMIN, 409, 503, *problems)
        return _operation(summary, "flags", answers, *known, **more)

    one, several = "/admin/flags/{key}", "/admin/flags/-"
    undo = write("Undo a flag's last change.", "FlagsChanged", 404, 413,
                 parameters=(key,), body="Undo", needs_body=False)  # fmt: skip
    return {
        "/api/flags": {"get": own},
        "/admin/flags": {
            "get": read("All flags.", "Flags", parameters=chosen),
            "post": write("Set fields of a flag.", "FlagChanged", 412, 413,
                          parameters=(match,), body="FlagInput"),
        },
        one: {
            "get": read("One flag.", "Flag", 400, 404, parameters=(key,)),
            "delete": write("Delete a flag.", "FlagDeleted", 404, 412,
                            parameters=(key, confirm, match)),
        },
        f"{one}/history": {"get": read("A flag's changes, newest first.", "FlagHistory", 400, 503,
                                       parameters=(key, limit))},
        f"{one}/undo": {"post": undo},
        f"{several}/history": {"get": read("All changes.", "FlagHistory", 400, 503,
                                           parameters=(limit,))},
        f"{several}/undo": {"post": write("Undo one change, all its flags.", "FlagsChanged",
                                          404, 413, body="UndoChange")},
        f"{several}/disable-for-release": {"post": write(
            "Turn off all that a release brought.", "FlagsChanged", 413, body="Release")},
        f"{several}/export": {"get": read("All flags, as import takes them.", "FlagExport")},
        f"{several}/import": {"post": write("Make flags what an export says.", "FlagsChanged", 413,
                                            body="FlagsInput")},
        f"{several}/report": {"get": read("Flags that somebody should look at.", "FlagReport", 400,
                                          parameters=(days,))},
        f"{several}/recover": {"post": write("Settle a loss of the store.", "FlagsChanged", 413,
                                             body="Recover")},
    }  # fmt: skip


def _leases() -> dict[str, Operation]:
    name = _in_path("name", leases.NAME)
    lease_id = _query("id", leases.ID, "The id that holds it.")
    lease_id["required"] = True
    known = (400, *_ADMIN, 503)
    take = _operation(
        "Take a lease; the holder's own id renews it.",
        "leases",
        {200: "Leased", 201: "Leased"},
        *(409, 413, *known),
        parameters=(name,),
        body="LeaseWanted",
    )
    take["responses"]["201"]["description"] = "It was free."
    renew = _operation(
        "Hold it for longer.",
        "leases",
        {200: "Leased"},
        *(409, 412, 413, *known),
        parameters=(name,),
        body="LeaseRenewed",
    )
    free = _operation(
        "Free it; `break` says that another holds it, and goes on record.",
        "leases",
        {200: "Leased"},
        *(409, 412, *known),
        parameters=(name, lease_id, _query("break", FLAG)),
    )
    look = _operation("Who holds it.", "leases", {200: "Leased"}, *known, parameters=(name,))
    return {"post": take, "get": look, "put": renew, "delete": free}


def _releases() -> dict[str, dict[str, Operation]]:
    named = (_in_path("release_id", releases.ID),)
    known = (*_ADMIN, 503)
    everyone = _operation("The newest releases.", "releases", {200: "ReportedReleases"}, *known)
    look = _operation(
        "One release.", "releases", {200: "ReportedRelease"}, *(400, 404, *known), parameters=named
    )
    report = _operation(
        "A controller's report, or a request to it.",
        "releases",
        {200: "ReportedRelease"},
        *(400, 404, 409, 413, *known),
        parameters=named,
        body="ReleaseReport",
    )
    return {
        "/admin/releases": {"get": everyone},
        "/admin/releases/{release_id}": {"get": look, "put": report},
    }


def _admin() -> dict[str, dict[str, Operation]]:
    filters = ("actor", "action", "subject", "environment", "version", "correlation_id")
    entries = (
        _query("limit", {"type": "integer", "minimum": 1, "maximum": 1000}),
        _query("before", {**NUMBER, "minimum": 0, "maximum": 1e12}, "Unix time; older entries."),
        *(_query(name, TEXT) for name in filters),
    )
    document = _operation("This document.", "admin", {})
    document["responses"]["200"] = _answer(200, JSON, {"type": "object"})
    return {
        "/admin/drain": {
            "post": _operation("Begin to drain this colour.", "drain", {200: "Drain", 202: "Drain"},
                               400, *_ADMIN, 409, 413, 503, body="DrainOrder", needs_body=False),
            "get": _operation("How far the drain is.", "drain", {200: "Drain"}, *_ADMIN),
            "delete": _operation("Serve again.", "drain", {200: "Drain"}, *_ADMIN, 409, 503),
        },
        "/admin/leases/{name}": _leases(),
        **_releases(),
        "/admin/audit": {"get": _operation("Who did what, newest first.", "admin", {200: "Audit"},
                                           400, *_ADMIN, parameters=entries)},
        "/admin/openapi.json": {"get": document},
    }  # fmt: skip
