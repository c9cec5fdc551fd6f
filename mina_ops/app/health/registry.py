"""Holds all checks of an app: runs those that are due, and says which fail."""

from __future__ import annotations

import logging
import time

from mina_ops.app.health.fleet import Vouchers
from mina_ops.app.health.model import READY, UNHEALTHY, UNKNOWN, Check, Rule
from mina_ops.app.health.monitor import Monitor, PermitsOf, VouchersOf

_log = logging.getLogger(__name__)

_FIRST_ROUND_SECONDS = 0.03
"""How long a request may wait for the first results of a process that just started."""


class Registry:
    """Holds the checks of an app and runs them beside its requests.

    Args:
        rule: when a check's state turns.
        soft: names whose failure only degrades, whatever the check says of itself.
        disabled: names of parts that the app does not use.
        vouchers: what the rest of the fleet says of a check.
        permits: who has to wait before it asks.
    """

    def __init__(
        self,
        rule: Rule,
        *,
        soft: frozenset[str],
        disabled: frozenset[str],
        vouchers: VouchersOf = lambda check: Vouchers(),
        permits: PermitsOf = lambda check, takes_answers: None,
    ) -> None:
        self._rule = rule
        self._vouchers = vouchers
        self._permits = permits
        self._soft = soft
        self._disabled = disabled
        self._by_path: dict[str, Monitor] = {}
        self._began_at: float | None = None
        self.monitors: dict[str, Monitor] = {}
        self.started = False

    def add(self, check: Check) -> None:
        """Register a check; it runs with the next beat.

        Raises:
            ValueError: there is a check of that name or path already.
        """
        for path in (check.name, *check.aliases):
            if path in self._by_path:
                raise ValueError(f"There is a health check {path!r} already.")
        self.replace(check)

    def replace(self, check: Check) -> None:
        """Register a check in place of the one of its name, if there is one."""
        if check.name in self._disabled:
            check = Check(name=check.name, run=None, words=check.words, aliases=check.aliases)
        critical = check.critical and check.name not in self._soft
        monitor = Monitor(
            check, self._rule, critical=critical, vouchers=self._vouchers, permits=self._permits
        )
        self.monitors = {**self.monitors, check.name: monitor}
        self._by_path |= dict.fromkeys((check.name, *check.aliases), monitor)

    def find(self, path: str) -> Monitor | None:
        """The check whose name or alias is `path`."""
        return self._by_path.get(path)

    def begin(self) -> None:
        """Start over in this process and run everything once."""
        self.started = False
        for monitor in self.monitors.values():
            monitor.reset()
        self._began_at = time.monotonic()
        for name in sorted((self._soft | self._disabled) - set(self.monitors)):
            _log.warning("The settings name a health check %r, which there is not", name)
        self.run_due()

    def run_due(self) -> None:
        """Start the checks that are due; returns at once."""
        if self._began_at is None:
            return
        for monitor in self.monitors.values():
            monitor.start_if_due()

    def settle(self) -> None:
        """Bring deadlines up to date; takes microseconds and does no I/O."""
        now = time.monotonic()
        for monitor in self.monitors.values():
            if now >= monitor.overdue_at:
                monitor.settle(now)
        if not self.started and self._began_at is not None:
            states = [monitor.reading.state for monitor in self.monitors.values()]
            self.started = UNKNOWN not in states

    def catch_up(self) -> None:
        """Bring states up to date for whoever asks now.

        A process that has just begun gets 30 ms to have something to say; after that it takes
        microseconds.
        """
        self.settle()
        latest = time.monotonic() + _FIRST_ROUND_SECONDS
        while not self.started:
            began = latest if self._began_at is None else self._began_at + _FIRST_ROUND_SECONDS
            if time.monotonic() >= min(latest, began):
                return
            time.sleep(0.002)
            self.settle()

    def failing(self, group: str = READY) -> tuple[str, ...]:
        """Names of the critical checks of a group that are unhealthy now."""
        return tuple(
            name
            for name, monitor in self.monitors.items()
            if monitor.critical
            and monitor.reading.state == UNHEALTHY
            and group in monitor.check.groups
        )
