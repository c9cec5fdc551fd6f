"""One log line for each request: `REQUEST GET /api/sessions user_id=12345`.

The lines go to the logger `mina_ops.requests`. Where the host has set up no logging they go to
standard error as `[2025-10-25 10:15:23] REQUEST ...`; `LineFormatter` gives any handler of the
host that form.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from flask import has_request_context, session

LOGGER = "mina_ops.requests"


class LineFormatter(logging.Formatter):
    """Puts `[2025-10-25 10:15:23] `, in local time, before a message."""

    def __init__(self) -> None:
        super().__init__("[%(asctime)s] %(message)s", "%Y-%m-%d %H:%M:%S")


class RequestLog:
    """Logs a request when it is called with its environ."""

    def __init__(self) -> None:
        self._logger = logging.getLogger(LOGGER)
        if self._logger.level == logging.NOTSET:
            self._logger.setLevel(logging.INFO)

    def __call__(self, environ: Mapping[str, Any]) -> None:
        logger = self._logger
        if not logger.isEnabledFor(logging.INFO):
            return
        if not logger.hasHandlers():
            _log_to_standard_error(logger)
        line = f"REQUEST {_clean(environ['REQUEST_METHOD'])} {_path(environ)}"
        user = _user_id()
        logger.info(line if user is None else f"{line} user_id={_clean(user)}")


def _log_to_standard_error(logger: logging.Logger) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    logger.addHandler(handler)


def _path(environ: Mapping[str, Any]) -> str:
    path: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return _clean(path)


def _clean(text: str) -> str:
    """The text as one word of ASCII, so that no client can forge a line or another field."""
    if text.isascii() and text.isprintable() and " " not in text:
        return text
    return quote(text, safe="/:@!$&'()*+,;=-._~", encoding="latin-1", errors="replace")


def _user_id() -> str | None:
    """The id that Flask-Login keeps in the session; loads no user and marks nothing as used."""
    if not has_request_context():
        return None
    held = session._get_current_object()  # type: ignore[attr-defined]
    # dict's own `get`: the session's would mark it as read, which adds `Vary: Cookie`.
    user = dict.get(held, "_user_id") if isinstance(held, dict) else None
    return None if user is None else str(user)
