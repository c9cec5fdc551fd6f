"""Bounded labels: whatever clients send, the number of series stays small.

Source: OpenTelemetry semantic conventions for HTTP metrics, stable: `http.request.method` is
one of a known list or `_OTHER`, `http.route` is the template and absent where none matched.
"""

from __future__ import annotations

from mina_ops.app.metrics.fields import OTHER

METHODS = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
)


def method_label(method: str) -> str:
    """The method if it is a known one, else `_OTHER`."""
    return method if method in METHODS else OTHER


def status_label(line: str) -> str:
    """The code of a status line ("200 OK"): 100 to 599, else `_OTHER`."""
    code = line[:3]
    known = len(code) == 3 and code.isascii() and code.isdigit() and "100" <= code <= "599"
    return code if known else OTHER


def is_error(line: str) -> bool:
    """Whether a status line tells of a server's error."""
    return line[:1] == "5"
