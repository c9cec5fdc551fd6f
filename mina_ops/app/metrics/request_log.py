"""One log line for each request: `REQUEST GET /api/sessions user_id=12345`.

The copy of a visitor's request, which a release mirrors, ends with `shadow=1`: nobody asked twice.

The lines go to the logger `mina_ops.requests`. Where the host has set up no logging they go to
standard error as `[2025-10-25 10:15:23] REQUEST ...`; `LineFormatter` gives any handler of the
host that form.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from time import time
from typing import Any
from urllib.parse import quote

from flask import session

from mina_ops.app.forks import call_in_children
from mina_ops.app.heartbeat import Heartbeat

LOGGER = "mina_ops.requests"
WRITE_SECONDS = 0.2
MOST_WAITING = 50_000
"""Lines that may wait; beyond that the oldest are lost."""

_SHADOW = "HTTP_X_MINA_SHADOW"
_Note = tuple[str, str, str, Any, bool, float]
_current_session: Callable[[], Any] = session._get_current_object  # type: ignore[attr-defined]
_get = dict.get


class LineFormatter(logging.Formatter):
    """Puts `[2025-10-25 10:15:23] `, in local time, before a message."""

    def __init__(self) -> None:
        super().__init__("[%(asctime)s] %(message)s", "%Y-%m-%d %H:%M:%S")


class RequestLog:
    """Notes each request when it is called with its environ, and logs it a moment later.

    Formatting and writing a line takes as long as a third of a small route, so that is done beside
    requests. The lines keep their time and order. The host's levels hold: what it set up as
    WARNING gets none. Only where it has set up no logging at all they go to standard error.
    """

    def __init__(self) -> None:
        self._logger = logging.getLogger(LOGGER)
        self._waiting: deque[_Note] = deque(maxlen=MOST_WAITING)
        self._writer = Heartbeat(WRITE_SECONDS)
        self._writer.every_beat("request log", lambda now: self.write())
        call_in_children(self._leave_to_parent)

    def __call__(self, environ: Mapping[str, Any]) -> None:
        if not self._writer.running:
            self._writer.start()
        # The id that Flask-Login keeps in the session; loads no user and marks nothing as used.
        try:
            held = _current_session()
        except RuntimeError:
            user = None
        else:
            # dict's own `get`: the session's would mark it as read, which adds `Vary: Cookie`.
            user = _get(held, "_user_id") if isinstance(held, dict) else None
        get = environ.get
        method, copied = environ["REQUEST_METHOD"], _SHADOW in environ
        self._waiting.append(
            (method, get("SCRIPT_NAME", ""), get("PATH_INFO", ""), user, copied, time())
        )

    def write(self) -> None:
        """Log what waits. Called every `WRITE_SECONDS`, and at the end."""
        logger, waiting = self._logger, self._waiting
        if not logger.hasHandlers():
            _log_to_standard_error(logger)
        wanted = logger.isEnabledFor(logging.INFO)
        for _ in range(len(waiting)):
            try:
                method, script, path, user, copied, at = waiting.popleft()
            except IndexError:
                return  # the end of the process writes beside this thread, and took the rest
            if not wanted:
                continue
            line = f"REQUEST {_clean(method)} {_clean(script + path)}"
            line = line if user is None else f"{line} user_id={_clean(str(user))}"
            line = f"{line} shadow=1" if copied else line
            record = logger.makeRecord(LOGGER, logging.INFO, __file__, 0, line, (), None, "write")
            record.created, record.msecs = at, at % 1 * 1000
            logger.handle(record)

    def _leave_to_parent(self) -> None:
        self._waiting.clear()

    def close(self) -> None:
        """Log what waits, and end the thread that does so."""
        self._writer.stop(wait_seconds=1.0)
        self.write()


def _log_to_standard_error(logger: logging.Logger) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    logger.addHandler(handler)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)


def _clean(text: str) -> str:
    """The text as one word of ASCII, so that no client can forge a line or another field."""
    if text.isascii() and text.isprintable() and " " not in text:
        return text
    return quote(text, safe="/:@!$&'()*+,;=-._~", encoding="latin-1", errors="replace")
