"""An answer of `mina-ops judge`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

Body = Mapping[str, Any]

RETRY_SECONDS = 5


@dataclass(frozen=True)
class Reply:
    """A status, a JSON object, and further headers."""

    status: HTTPStatus
    body: Body
    headers: Mapping[str, str] = field(default_factory=dict)


def problem(status: HTTPStatus, detail: str, **headers: str) -> Reply:
    """An answer that says no, and why; its form is RFC 9457's."""
    body = {"status": int(status), "title": status.phrase, "detail": detail}
    return Reply(status, body, {"Content-Type": "application/problem+json", **headers})


def later(detail: str) -> Reply:
    """Not now: 503, with when to ask again."""
    retry = {"Retry-After": str(RETRY_SECONDS)}
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, **retry)
