"""A real app that says what it made of a request: its path, its session id, its prefix."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import parse_qs

COLOUR = os.environ["ENVIRONMENT"]


def app(environ: dict[str, Any], start: Any) -> list[bytes]:
    """What python-engineio and Flask would go by, as one line."""
    path, query = environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", "")
    engine = path.startswith("/socket.io/")
    has_sid = "sid" in parse_qs(query)
    what = ("session" if has_sid else "handshake") if engine else "page"
    prefix = environ.get("SCRIPT_NAME", "")
    request_id = environ.get("HTTP_X_REQUEST_ID", "")
    line = "\n".join((COLOUR, what, prefix, request_id, environ.get("HTTP_UPGRADE", "")))
    data = line.encode("latin-1", "replace")
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(data)))])
    return [data]
