"""The metrics of one app: what its processes count, and what the colour's figures are."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

from mina_ops.app.component import Part
from mina_ops.app.metrics import fields, routes, windows
from mina_ops.app.metrics.outbox import Outbox
from mina_ops.app.metrics.outcomes import Outcome
from mina_ops.app.metrics.prometheus import Exposition
from mina_ops.app.metrics.recorder import Recorder, clear_in_children
from mina_ops.app.metrics.request_log import RequestLog
from mina_ops.app.metrics.sessions import CURRENT_SECONDS, ActiveSessions
from mina_ops.app.metrics.views import Subject, View, Views
from mina_ops.app.settings import Settings
from mina_ops.app.state.base import Store
from mina_ops.app.state.presence import Presence
from mina_ops.app.web.answers import Probe
from mina_ops.errors import StateUnavailable

MOST_NAMES = 100
PLAYBOOK_OUTCOMES = ("transcription", "ai_insights")

Reading = Callable[[], float | None]


class Metrics(Part):
    """Counts what this process serves and answers for its whole colour, or the other one."""

    name = "metrics"

    def __init__(self, settings: Settings, store: Store, presence: Presence) -> None:
        self.environment = settings.environment
        self.version = settings.version
        self.colours = tuple(dict.fromkeys((*settings.colours, settings.environment)))
        self.gauges: list[tuple[str, str, Reading]] = []
        self._prometheus_path = settings.prometheus_path
        self._presence = presence
        self._recorder = Recorder()
        self._outbox = Outbox(store, settings.environment, settings.version)
        self.clear()
        clear_in_children(self)
        self._views = Views(store, patience_seconds=settings.presence_ttl_seconds)
        self._sessions = ActiveSessions()
        self._outcomes: dict[str, None] = dict.fromkeys(PLAYBOOK_OUTCOMES)
        self._results: dict[str, None] = dict.fromkeys((fields.ACCEPTED, *fields.TURNED_AWAY))
        self.durations = self._recorder.durations
        self.log = RequestLog() if settings.request_log else None
        # Health judges the AI service by what the app tells of its own calls.
        self.on_outcome: Callable[[str, bool], None] = lambda name, succeeded: None

    def outcome(self, name: str) -> Outcome:
        """One attempt at `name`, to be told as a success or a failure.

        Raises:
            ValueError: the name is not 1 to 64 letters, digits, `_`, `.` and `-`.
        """
        return Outcome(partial(self._count_outcome, _admit(self._outcomes, name)))

    def _count_outcome(self, name: str, succeeded: bool) -> None:
        self._recorder.count(fields.outcome(name, succeeded))
        self.on_outcome(name, succeeded)

    def websocket(self, result: str) -> None:
        """Count a Socket.IO handshake: `accepted`, `draining` (no failure), or why it failed.

        Raises:
            ValueError: the result is not 1 to 64 letters, digits, `_`, `.` and `-`.
        """
        self._recorder.count(f"{fields.WEBSOCKET}{_admit(self._results, result)}")

    def active_sessions(self, count: Callable[[], int]) -> Callable[[], int]:
        """Ask `count()` every 5 s how many sessions are active in the colour; a decorator too."""
        self._sessions.use(count)
        return count

    def gauge(self, name: str, text: str, read: Reading) -> None:
        """Show `read()`, from memory, as a Prometheus gauge; None: no sample."""
        self.gauges.append((name, text, read))

    def probes(self) -> Mapping[str, Probe]:
        scrape = {self._prometheus_path: Exposition(self)} if self._prometheus_path else {}
        return {**routes.probes(self), **scrape}

    def at_start(self) -> None:
        _flush_at_exit(self)

    def beat(self, now: float) -> None:
        self._sessions.beat(now)
        try:
            self.flush(now)
            self._views.beat(now)
        except StateUnavailable:
            self._views.away = True
            raise

    def flush(self, now: float) -> None:
        """Store what this process counted; raises `StateUnavailable` and keeps it then.

        While another thread does so, it returns at once.
        """
        if self._flushing.acquire(blocking=False):
            try:
                self._outbox.put(self._recorder.take(), now)
                self._outbox.flush()
            finally:
                self._flushing.release()

    def clear(self) -> None:
        """Let a forked child flush, whatever the parent was doing."""
        self._flushing = threading.Lock()

    def report(self) -> Any:
        report: dict[str, Any] = {"outcomes": list(self._outcomes)}
        latest = self._sessions.latest()
        if latest is not None:
            report["active_sessions"], report["active_sessions_age"] = latest
        return report

    def window(self, environment: str, window_seconds: int) -> View:
        """A colour's amounts of the last seconds, from memory."""
        return self._views.ask(Subject(environment, window_seconds), time.time())

    def total(self) -> View:
        """All that this colour counted under this release, from memory."""
        subject = Subject(self.environment, version=self.version)
        return self._views.ask(subject, time.time())

    def about(self, environment: str, window_seconds: int, view: View) -> dict[str, Any]:
        """What every answer says: colour, window, live reporters, when it was read, staleness."""
        peers = self._presence.peers(environment)
        read_at = time.time() if view.read_at is None else view.read_at
        return {
            "environment": environment,
            "window_seconds": window_seconds,
            "reporters": len(peers.reports),
            "generated_at": _iso(read_at),
            "stale": view.stale or peers.stale,
        }

    def outcome_names(self, environment: str) -> set[str]:
        """Outcomes that a live process of a colour has, or that the colour counted lately."""
        own = environment == self.environment
        names = set(self._outcomes if own else PLAYBOOK_OUTCOMES)
        for report in self._presence.peers(environment).reports.values():
            names.update((report.get(self.name) or {}).get("outcomes", ()))
        lately = self.window(environment, windows.DEFAULT_SECONDS).amounts
        return names | {name.rpartition(":")[0] for name, _ in fields.below(lately, fields.OUTCOME)}

    def active(self, environment: str) -> dict[str, Any]:
        """The body of active sessions: the freshest count of a colour's processes."""
        peers = self._presence.peers(environment)
        reports = [report.get(self.name) or {} for report in peers.reports.values()]
        counts = [
            (report["active_sessions_age"], report["active_sessions"])
            for report in reports
            if "active_sessions" in report
        ]
        age, count = min(counts, default=(0.0, None))
        return {
            "active_sessions": count,
            "samples": len(counts),
            "environment": environment,
            "window_seconds": int(CURRENT_SECONDS),
            "reporters": len(peers.reports),
            "generated_at": _iso(time.time() - (peers.age_seconds or 0.0) - age),
            "stale": peers.stale,
        }


def _admit(known: dict[str, None], name: str) -> str:
    """The name, or `_OTHER` once there are too many; raises `ValueError` for one of bad form."""
    if name in known:
        return name
    if not fields.is_name(name):
        raise ValueError(f"{name!r} is no name: use 1 to 64 letters, digits, '_', '.' and '-'.")
    if len(known) >= MOST_NAMES:
        return fields.OTHER
    known[name] = None
    return name


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")


def _flush_at_exit(metrics: Metrics) -> None:
    """A process that ends in order stores its last second too."""
    known = weakref.ref(metrics)

    def flush() -> None:
        living = known()
        if living is not None:
            with suppress(StateUnavailable):
                living.flush(time.time())

    atexit.register(flush)
