"""Work that must end, or be flushed, before its session may be closed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from mina_ops.app.streams.kept import Kept

_log = logging.getLogger(__name__)

Flush = Callable[[], Any]
Spawn = Callable[[Callable[[], None]], Any]


LONGEST_NAME = 128
"""Characters kept of a hold's kind, and of its name: clients once gave names of 900 KB."""


class Hold:
    """One piece of work; ends with `release()` or at the end of a `with` block."""

    def __init__(
        self, holds: Holds, kind: str, name: str, flush: Flush | None, sid: str | None
    ) -> None:
        self.name = f"{kind}:{name}"
        self.sid = sid
        self._flush = flush
        self._holds = holds
        self.flush_began_at: float | None = None

    def release(self) -> None:
        """The work has ended; idempotent."""
        self._holds.drop(self)

    def __enter__(self) -> Hold:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def flush(self) -> None:
        """Save what the work has so far, then release; if that fails, log it and keep the hold."""
        if self._flush is None:
            _log.warning("Hold %s has no flush; it is given up", self.name)
            return
        try:
            self._flush()
        except Exception:
            _log.exception("Hold %s could not be flushed", self.name)
        else:
            self.release()


class Holds:
    """All holds of a process.

    Args:
        streams: keeps the streams of sessions that are asked to leave.
    """

    def __init__(self, streams: Kept) -> None:
        self.streams = streams
        # No lock, since a signal handler asks, too; each single step on a dict is atomic.
        self._active: dict[Hold, None] = {}

    def take(self, kind: str, name: str, flush: Flush | None, sid: str | None) -> Hold:
        """A new hold, of a session or (sid None) of the process."""
        hold = Hold(self, _label(kind), _label(name), flush, sid)
        self._active[hold] = None
        return hold

    def drop(self, hold: Hold) -> None:
        """Forget a hold; idempotent."""
        self._active.pop(hold, None)

    def active(self) -> list[Hold]:
        """Holds that have not ended."""
        return list(self._active)

    def names(self) -> list[str]:
        """What the holds that have not ended are called."""
        return [hold.name for hold in self._active.copy()]

    def sids(self) -> set[str]:
        """Sessions that must not be closed yet."""
        return {hold.sid for hold in self.active() if hold.sid is not None}

    def flush_all(self, spawn: Spawn) -> None:
        """Begin to flush every hold, each once, all at the same time."""
        for hold in self.active():
            if hold.flush_began_at is None:
                hold.flush_began_at = time.monotonic()
                spawn(hold.flush)

    def give_up(self, patience_seconds: float) -> list[str]:
        """Drop holds whose flush began `patience_seconds` ago or earlier; returns their names."""
        now = time.monotonic()
        late = [
            hold
            for hold in self.active()
            if hold.flush_began_at is not None and now - hold.flush_began_at >= patience_seconds
        ]
        for hold in late:
            self.drop(hold)
        return [hold.name for hold in late]


def _label(text: str) -> str:
    """A name, short and printable: it may be a client's text, and goes to logs and terminals."""
    short = text[:LONGEST_NAME]
    return "".join(c if c.isprintable() else "?" for c in short) + ("..." if text != short else "")
