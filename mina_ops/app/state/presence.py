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

from mina_ops.app.identity import Identity
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
    """Publishes this process and keeps the last view of all colours in memory.

    Args:
        store: where the rosters are.
        identity: names this process.
        ttl_seconds: a process that is silent for this long is gone.
    """

    def __init__(self, store: Store, identity: Identity, *, ttl_seconds: float) -> None:
        self._store = store
        self._identity = identity
        self._ttl_seconds = ttl_seconds
        self._components: dict[str, Callable[[], Any]] = {}
        self._views: dict[str, dict[str, Report]] = {}
        self._read_at: float | None = None
        self._started_at = time.time()
        self._left = False

    def contribute(self, name: str, say: Callable[[], Any]) -> None:
        """Say `say()`, a JSON value or None, under `name` in this process's report."""
        self._components[name] = say

    def own(self) -> Report:
        """What this process says of itself now."""
        report: Report = {
            "instance": self._identity.instance,
            "version": self._identity.version,
            "started_at": round(self._started_at, 3),
        }
        said = {name: say() for name, say in self._components.items()}
        return report | {name: value for name, value in said.items() if value is not None}

    def beat(self, now: float) -> None:
        """Announce this process, then read who is there; raises `StateUnavailable`."""
        own, ttl = json.dumps(self.own()).encode(), self._ttl_seconds
        roster = keys.presence(self._identity.environment)
        if not self._left:
            self._store.announce(roster, self._identity.process_id, own, ttl_seconds=ttl)
        for colour in self._identity.colours:
            found = self._store.members(keys.presence(colour))
            self._views[colour] = {name: json.loads(raw) for name, raw in found.items()}
        self._read_at = time.monotonic()

    def leave(self) -> None:
        """Take this process off the roster for good, now rather than after its time to live."""
        self._left = True
        roster = keys.presence(self._identity.environment)
        self._store.withdraw(roster, self._identity.process_id)

    def peers(self, environment: str | None = None) -> Peers:
        """The processes of a colour (default: ours), from memory; this one as it is now."""
        colour = environment or self._identity.environment
        reports = dict(self._views.get(colour, {}))
        if colour == self._identity.environment:
            reports[self._identity.process_id] = self.own()
        age = None if self._read_at is None else time.monotonic() - self._read_at
        too_old = age is None or age > self._ttl_seconds
        return Peers(reports, age, stale=too_old and self._store.shared)

    def reports(self, component: str, colour: str) -> dict[str, Any]:
        """What each process of a colour says of one component; {} where it says nothing."""
        return {name: r.get(component) or {} for name, r in self.peers(colour).reports.items()}
