"""Sorts exceptions into a few classes; clients see the class, never the exception's text."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

from mina_ops.app.health.model import Unhealthy

CLASSES = ("timeout", "refused", "auth", "dns", "pool_exhausted", "rate_limited", "error")

# Class names, so that no driver has to be imported to know its exceptions.
_BY_NAME = {
    "TimeoutException": "timeout",
    "APITimeoutError": "timeout",
    "ConnectionTimeout": "timeout",
    "QueryCanceled": "timeout",
    "AuthenticationError": "auth",
    "PermissionDeniedError": "auth",
    "InvalidPassword": "auth",
    "InvalidAuthorizationSpecification": "auth",
    "NoPermissionError": "auth",
    "TooManyConnections": "pool_exhausted",
    "MaxConnectionsError": "pool_exhausted",
    "PoolTimeout": "pool_exhausted",
    "RateLimitError": "rate_limited",
}
_BY_SQLSTATE = {"28": "auth", "53300": "pool_exhausted", "57014": "timeout"}
_BY_STATUS = {401: "auth", 403: "auth", 407: "auth", 408: "timeout", 429: "rate_limited"}
_BY_TEXT = (
    # libpq tells these apart in words only.
    (re.compile(r"queuepool limit|too many (clients|connections)|remaining connection"), 4),
    (re.compile(r"password authentication failed|no pg_hba|noauth|wrongpass|access denied"), 2),
    (re.compile(r"name or service not known|could not translate host|name resolution"), 3),
    (re.compile(r"could not be resolved|nodename nor servname|no address associated"), 3),
    (re.compile(r"connection refused"), 1),
    (re.compile(r"timed? ?out|timeout expired"), 0),
)
_PASSWORDS = re.compile(r"(?<=//)[^/@\s]*(?=@)|(?i:(?<=password=)|(?<=bearer ))\S+|\bsk-\S+")


def classify(error: BaseException) -> str:
    """One of `CLASSES`; looks at the exception, then at what it came from."""
    chain = list(_chain(error))
    for link in chain:
        found = _by_kind(link)
        if found:
            return found
    for link in chain:
        text = str(link).lower()
        for pattern, index in _BY_TEXT:
            if pattern.search(text):
                return CLASSES[index]
    return "error"


def describe(error: BaseException) -> str:
    """Kind and text of an exception for admins and the log, without passwords and tokens."""
    text = " <- ".join(f"{type(link).__name__}: {link}" for link in _chain(error))
    return _PASSWORDS.sub("***", text)[:1000]


def _by_kind(error: BaseException) -> str | None:
    if isinstance(error, Unhealthy):
        return error.error if error.error != "error" else None
    if isinstance(error, socket.gaierror):
        return "dns"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    names = {kind.__name__ for kind in type(error).__mro__}
    for name, found in _BY_NAME.items():
        if name in names:
            return found
    if type(error).__module__ == "sqlalchemy.exc" and type(error).__name__ == "TimeoutError":
        return "pool_exhausted"
    if isinstance(error, TimeoutError) or type(error).__name__ == "TimeoutError":
        return "timeout"
    return _by_code(error)


def _by_code(error: Any) -> str | None:
    sqlstate = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if isinstance(sqlstate, str):
        return _BY_SQLSTATE.get(sqlstate) or _BY_SQLSTATE.get(sqlstate[:2])
    status = getattr(error, "status_code", None)
    return _BY_STATUS.get(status) if isinstance(status, int) else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen and len(seen) < 10:
        seen.add(id(link))
        yield link
        origin = getattr(link, "orig", None)
        link = link.__cause__ or link.__context__ or origin
