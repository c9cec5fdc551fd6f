"""Answers of our endpoints: one shape that serves below Flask and inside it.

Probes are answered in the WSGI middleware, other endpoints in Flask views; both build an
`Answer`, so headers, `HEAD` and problem details (RFC 9457) are the same everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from flask import Response

from mina_ops.errors import (
    InvalidRequest,
    MinaOpsError,
    NotAuthenticated,
    StateUnavailable,
    TooManyRequests,
    UserUnavailable,
)

JSON = "application/json"
PROBLEM = "application/problem+json"

StartResponse = Callable[..., Any]


@dataclass(frozen=True)
class ProbeRequest:
    """What a probe may know of a request: its path, its query's last values, its environ."""

    path: str
    environ: Mapping[str, Any]

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; of one that is repeated, the last value."""
        return dict(parse_qsl(self.environ.get("QUERY_STRING", ""), keep_blank_values=True))

    def header(self, name: str) -> str | None:
        """A header's value."""
        return self.environ.get("HTTP_" + name.upper().replace("-", "_"))


@dataclass(frozen=True)
class Answer:
    """A status, a body (a JSON value, or text or bytes as they are) and headers."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON

    def data(self) -> bytes:
        """The body as it goes over the wire; JSON ends with a newline, for terminals."""
        if self.body is None:
            return b""
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, str):
            return self.body.encode()
        return (json.dumps(self.body, separators=(", ", ": ")) + "\n").encode()

    def all_headers(self, identity: Mapping[str, str]) -> list[tuple[str, str]]:
        """Its headers with those that every answer has; `identity` names colour and version."""
        headers = {
            "Content-Type": self.content_type,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            **identity,
            **self.headers,
        }
        return list(headers.items())

    def to_wsgi(
        self, environ: Mapping[str, Any], start: StartResponse, identity: Mapping[str, str]
    ) -> Iterable[bytes]:
        """Send it as a WSGI response; a HEAD request gets the headers alone."""
        data = self.data()
        headers = self.all_headers(identity)
        headers.append(("Content-Length", str(len(data))))
        start(f"{self.status} {HTTPStatus(self.status).phrase}", headers)
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [data]

    def to_flask(self, identity: Mapping[str, str]) -> Response:
        """The same answer as a Flask response."""
        return Response(self.data(), self.status, self.all_headers(identity))


Probe = Callable[[ProbeRequest], Answer]


@dataclass(frozen=True)
class AnyMethod:
    """A probe that answers writes too, and tells the methods apart itself."""

    probe: Probe
    methods: tuple[str, ...]

    def __call__(self, request: ProbeRequest) -> Answer:
        """Its answer."""
        return self.probe(request)


def wants(accept: str | None, media_type: str) -> bool:
    """Whether an `Accept` header names a media type, and not with the weight 0.

    `*/*` does not name it: only who asks for it by name gets what is not the default.
    """
    for part in (accept or "").split(","):
        named, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if named == media_type:
            weights = (p.removeprefix("q=") for p in parameters if p.startswith("q="))
            return not any(weight.strip("0.") == "" for weight in weights)
    return False


def problem(error: MinaOpsError) -> Answer:
    """The problem details of an error; holds its code and message, never a cause's text."""
    status = HTTPStatus(error.http_status)
    body: dict[str, Any] = {
        "type": f"urn:mina-ops:problem:{error.code}",
        "title": status.phrase,
        "status": int(status),
        "code": error.code,
        "detail": str(error),
    }
    headers: dict[str, str] = {}
    if isinstance(error, InvalidRequest) and error.field:
        body["field"] = error.field
    if isinstance(error, NotAuthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="mina_ops"'
    if isinstance(error, StateUnavailable | UserUnavailable):
        headers["Retry-After"] = "1"
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.retry_after_seconds)
    return Answer(int(status), body, headers, PROBLEM)


def wrong_method(allowed: Iterable[str]) -> Answer:
    """The 405 of an endpoint that knows `allowed` methods alone."""
    methods = ", ".join(allowed)
    body = {"type": "urn:mina-ops:problem:method", "title": "Method Not Allowed", "status": 405}
    body |= {"code": "method", "detail": f"Use {methods}."}
    return Answer(405, body, {"Allow": methods}, PROBLEM)
