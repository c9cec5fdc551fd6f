"""The metrics component: counts what this process serves, and stores it on the heartbeat."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.forks import call_in_children
from mina_ops.app.metrics import clients, fields, outcome_events
from mina_ops.app.metrics.figures import COMPONENT, PLAYBOOK_OUTCOMES, Figures, merge
from mina_ops.app.metrics.gauges import Gauge, Reading, plain
from mina_ops.app.metrics.outbox import Outbox
from mina_ops.app.metrics.outcome_rules import KEY, parse
from mina_ops.app.metrics.outcomes import Outcome, OutcomeEvents
from mina_ops.app.metrics.recorder import Recorder
from mina_ops.app.metrics.request_log import RequestLog
from mina_ops.app.metrics.sessions import ActiveSessions, counter_of
from mina_ops.app.process import EVERY_KIND, Kind
from mina_ops.errors import StateUnavailable

MOST_NAMES = 100
_NO_FAILURES = (fields.ACCEPTED, *fields.TURNED_AWAY)

_log = logging.getLogger(__name__)

MOST_FLUSH_BEATS = 5
"""In the largest colours a process stores what it counted only every fifth beat."""


class Metrics(Component):
    """Counts what this process serves; `figures` answers for its whole colour.

    Args:
        events: gets every outcome that the host records.
    """

    name = COMPONENT
    kinds = EVERY_KIND

    def __init__(self, context: Context, events: OutcomeEvents) -> None:
        self._heartbeat = context.heartbeat
        self.gauges: list[Gauge] = []
        self._presence = context.presence
        self._url_map = context.app.url_map
        self._beats = 0
        self._rules = parse(context.settings.outcomes)
        self._recorder = Recorder(self._rules, events.tell)
        self._clock = context.clock
        self._outbox = Outbox(context.store, context.identity.environment, context.identity.version)
        self._renew_lock()
        call_in_children(self._renew_lock)
        self._sessions = ActiveSessions(counter_of(context))
        named = (*PLAYBOOK_OUTCOMES, *context.settings.outcomes)
        self._outcomes: dict[str, None] = dict.fromkeys(named)
        self._results: dict[str, None] = dict.fromkeys(_NO_FAILURES)
        self._events = events
        self.figures = Figures(context, self._outcomes)
        self.durations = self._recorder.durations
        self.log = RequestLog() if context.settings.request_log else None

    def outcome(self, name: str) -> Outcome:
        """One attempt at `name`, which the caller then marks as a success or a failure.

        Raises:
            ValueError: the name is not 1 to 64 letters, digits, `_`, `.` and `-`.
        """
        return Outcome(partial(self._count_outcome, _admit(self._outcomes, name)))

    def _count_outcome(self, name: str, succeeded: bool) -> None:
        if not self._heartbeat.running:
            self._start_beside_requests()
        self._recorder.count(fields.outcome(name, succeeded))
        self._events.tell(name, succeeded)

    def watch_events(self, server: Any) -> None:
        """Count the outcomes that the settings define by Socket.IO events of this server."""
        outcome_events.watch(server, self._rules, self._count_outcome)

    def handshake(self, result: str, client: str = "") -> None:
        """Count a Socket.IO handshake: `accepted`, `draining` (no failure), or why it failed.

        Args:
            client: the address that it came from, by which failing clients are told apart.

        Raises:
            ValueError: the result is not 1 to 64 letters, digits, `_`, `.` and `-`.
        """
        name = _admit(self._results, result)
        self._recorder.count(f"{fields.WEBSOCKET}{name}")
        if name not in _NO_FAILURES and not fields.is_by_server(name):
            self._recorder.count(clients.place(client))

    def refused(self, reason: str, times: int) -> None:
        """Count requests that were refused for a reason, which is one of few."""
        for _ in range(times):
            self._recorder.count(f"{fields.REFUSED}{reason}")

    def active_sessions(self, count: Callable[[], int]) -> Callable[[], int]:
        """Ask `count()` every 5 s how many sessions are active in the colour; a decorator too."""
        self._sessions.use(count)
        return count

    def gauge(self, name: str, text: str, read: Reading) -> None:
        """Show `read()`, from memory, as a Prometheus gauge; None: no sample.

        It is a counter where its name ends with `_total`.
        """
        self.labelled_gauge(plain(name, text, read))

    def labelled_gauge(self, gauge: Gauge) -> None:
        """Show a gauge with labels of its own."""
        self.gauges.append(gauge)

    def at_start(self) -> None:
        atexit.register(self._flush_at_exit)
        rules = list(self._url_map.iter_rules())
        served = ((method, rule.rule) for rule in rules for method in rule.methods or ())
        for route in self._rules.unknown_routes(served):
            _log.warning(
                "%s: %s has no samples, as the app has no route %s", KEY, route.outcome, route.rule
            )

    def beat(self, now: float) -> None:
        if self._heartbeat.process.kind is Kind.WEB:
            self._sessions.beat(now)
        try:
            if self._is_turn():
                self.flush(now)
            self.figures.views.beat(now)
        except StateUnavailable:
            self.figures.views.away = True
            raise

    def _is_turn(self) -> bool:
        """Whether to store on this beat: on each in a small colour, more rarely in a large one.

        What Redis gets in a second then stays about the same above 200 processes. Processes begin
        at different moments, so their turns are spread.
        """
        self._beats += 1
        processes = self._presence.summary().processes
        return self._beats % min(MOST_FLUSH_BEATS, 1 + processes // 200) == 0

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

    def merge(self, reports: Sequence[Any]) -> Any:
        return merge(reports)

    def report(self) -> Any:
        report: dict[str, Any] = {"outcomes": list(self._outcomes)}
        latest = self._sessions.latest()
        if latest is not None:
            report["active_sessions"], report["active_sessions_age"] = latest
        return report

    def close(self) -> None:
        """Store the last second, as a process that ends in order does."""
        atexit.unregister(self._flush_at_exit)
        self._flush_at_exit()
        if self.log is not None:
            self.log.close()

    def _flush_at_exit(self) -> None:
        if self.log is not None:
            self.log.write()
        with suppress(StateUnavailable):
            self.flush(self._clock.now())

    def _start_beside_requests(self) -> None:
        """In a worker or a script: begin to store outcomes, the last ones at its end."""
        if self._heartbeat.start_beside_requests():
            atexit.register(self._flush_at_exit)

    def _renew_lock(self) -> None:
        """Let a forked child flush, whatever the parent was doing."""
        self._flushing = threading.Lock()


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
