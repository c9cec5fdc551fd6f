"""Keeps figures that were read from the store in memory, fresh as long as somebody asks for them.

The first request for a view reads the store, so it waits for at most the store's timeout; while the
store is away, it does not wait. Anybody may ask for 3,600 different windows. So first reads are
made one at a time and take a fifth of the time at most; if four others wait already, the answer is
an empty, stale view. Every later request is answered from memory: the heartbeat reads the view
again on each beat (a window of an hour: every 12 s), until nobody has asked for a minute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mina_ops.app.metrics import windows
from mina_ops.app.state import keys
from mina_ops.app.state.base import Store
from mina_ops.errors import StateUnavailable

KEEP_SECONDS = 60.0
MOST_VIEWS = 32
_MOST_WAITING = 4
# What one beat may spend on reading: the same loop tells the others that this process lives.
_BUDGET_SECONDS = 0.25


@dataclass(frozen=True)
class Subject:
    """What a view shows: a colour's last seconds, or all that a release of it counted."""

    environment: str
    window_seconds: int = 0
    version: str = ""

    @property
    def refresh_seconds(self) -> float:
        """How old a view may grow: each beat is right up to 5 minutes, then in proportion."""
        if self.window_seconds <= windows.DEFAULT_SECONDS:
            return 0.0
        return self.window_seconds / windows.DEFAULT_SECONDS


@dataclass(frozen=True)
class View:
    """Amounts as of a moment (unix time; None: never read), and the seconds that they cover."""

    amounts: Mapping[str, float] = field(default_factory=dict)
    read_at: float | None = None
    covered_seconds: float = 0.0
    stale: bool = False


class Views:
    """The views that somebody wants, as this process last read them; safe for threads."""

    def __init__(self, store: Store, *, patience_seconds: float) -> None:
        self._store = store
        self._patience = patience_seconds
        self._views: dict[Subject, View] = {}
        self._asked: dict[Subject, float] = {}
        self._changing = threading.Lock()
        self._places = threading.BoundedSemaphore(_MOST_WAITING)
        self._first_reads = threading.Lock()
        self._rest_until = 0.0
        self.away = False
        """Whether the store was away at the last try."""

    def ask(self, subject: Subject, now: float) -> View:
        """The view as last read; raises nothing: without any reading it is empty and stale."""
        with self._changing:
            self._asked[subject] = now
            view = self._views.get(subject)
        if not self._store.shared:
            view = self._try(subject, now)
        elif view is None and not self.away:
            view = self._read_first(subject, now)
        if view is None or view.read_at is None:
            return View(stale=True)
        limit = self._patience + subject.refresh_seconds
        return replace(view, stale=now - view.read_at > limit)

    def beat(self, now: float) -> None:
        """Read again what is wanted and due, the oldest first.

        Raises:
            StateUnavailable: the views stay as they are and grow old.
        """
        self._forget(now)
        if self.away:
            self._store.ping()
            self.away = False
        end = time.monotonic() + _BUDGET_SECONDS
        for subject in self._due(now):
            if time.monotonic() > end:
                break
            self._read(subject, now)

    def _due(self, now: float) -> list[Subject]:
        with self._changing:
            read = {subject: self._views.get(subject, View()).read_at for subject in self._asked}
        due = [s for s, at in read.items() if at is None or now - at >= s.refresh_seconds]
        return sorted(due, key=lambda subject: read[subject] or 0.0)

    def _read_first(self, subject: Subject, now: float) -> View | None:
        if not self._places.acquire(blocking=False):
            return None
        try:
            with self._first_reads:
                known = self._views.get(subject)
                if known is not None:
                    return known
                time.sleep(max(0.0, self._rest_until - time.monotonic()))
                began = time.monotonic()
                view = self._try(subject, now)
                ended = time.monotonic()
                self._rest_until = ended + 4 * (ended - began)
                return view
        finally:
            self._places.release()

    def _try(self, subject: Subject, now: float) -> View | None:
        try:
            return self._read(subject, now)
        except StateUnavailable:
            self.away = True
            return None

    def _read(self, subject: Subject, now: float) -> View:
        if subject.window_seconds:
            span = windows.span(now, subject.window_seconds)
            names = [
                keys.metrics_slice(subject.environment, start, span.step_seconds)
                for start in span.starts
            ]
            view = View(self._store.totals(names), now, span.covered_seconds)
        else:
            name = keys.metrics_total(subject.environment, subject.version)
            view = View(self._store.totals([name]), now)
        with self._changing:
            self._views[subject] = view
        return view

    def _forget(self, now: float) -> None:
        with self._changing:
            newest = sorted(self._asked.items(), key=lambda item: -item[1])[:MOST_VIEWS]
            self._asked = {subject: at for subject, at in newest if now - at <= KEEP_SECONDS}
            self._views = {s: view for s, view in self._views.items() if s in self._asked}
