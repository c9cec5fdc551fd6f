"""Which processes of each colour are alive, and what each says of itself.

One key for each process, which expires: a killed process vanishes with its figures, where a
shared counter would keep them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mina_ops.app.settings import Settings
from mina_ops.app.state import keys
from mina_ops.app.state.base import Store

Report = dict[str, Any]


@dataclass(frozen=True)
class Peers:
    """The live processes of a colour as of one moment.

    `reports` maps a process's id to what it says; `age_seconds` is how old the view is (None:
    never read); `stale` says that it is older than a process may be silent.
    """

    reports: dict[str, Report]
    age_seconds: float | None
    stale: bool


class Presence:
    """Publishes this process and keeps the last view of all colours in memory."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._parts: dict[str, Callable[[], Any]] = {}
        self._views: dict[str, dict[str, Report]] = {}
        self._read_at: float | None = None
        self._started_at = time.time()
        self._left = False

    def contribute(self, name: str, part: Callable[[], Any]) -> None:
        """Say `part()`, a JSON value, under `name` in this process's report."""
        self._parts[name] = part

    def own(self) -> Report:
        """What this process says of itself now."""
        settings = self._settings
        report: Report = {
            "instance": settings.instance,
            "version": settings.version,
            "started_at": round(self._started_at, 3),
        }
        return report | {name: part() for name, part in self._parts.items()}

    def beat(self, now: float) -> None:
        """Announce this process, then read who is there; raises `StateUnavailable`."""
        settings = self._settings
        own = json.dumps(self.own()).encode()
        roster = keys.presence(settings.environment)
        ttl = settings.presence_ttl_seconds
        if not self._left:
            self._store.announce(roster, settings.process_id, own, ttl_seconds=ttl)
        for colour in {*settings.colours, settings.environment}:
            found = self._store.members(keys.presence(colour))
            self._views[colour] = {name: json.loads(raw) for name, raw in found.items()}
        self._read_at = time.monotonic()

    def leave(self) -> None:
        """Take this process off the roster for good, now rather than after its time to live."""
        self._left = True
        roster = keys.presence(self._settings.environment)
        self._store.withdraw(roster, self._settings.process_id)

    def peers(self, environment: str | None = None) -> Peers:
        """The processes of a colour (default: ours), from memory; this one as it is now."""
        colour = environment or self._settings.environment
        reports = dict(self._views.get(colour, {}))
        if colour == self._settings.environment:
            reports[self._settings.process_id] = self.own()
        age = None if self._read_at is None else time.monotonic() - self._read_at
        too_old = age is None or age > self._settings.presence_ttl_seconds
        return Peers(reports, age, stale=too_old and self._store.shared)
