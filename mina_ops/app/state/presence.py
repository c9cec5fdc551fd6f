"""Which processes of each colour are alive, and what each says of itself.

Each process has one key, which expires: a killed process vanishes with its figures, where a shared
counter would keep them. On each beat a process announces its own report and reads the small summary
of each colour (see `summary.py`). The whole reports of all processes are read only when somebody
asks for them.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mina_ops.app.identity import Identity
from mina_ops.app.process import Kind, Process
from mina_ops.app.state import keys
from mina_ops.app.state.base import Reading, Store
from mina_ops.app.state.summary import Merge, Summaries, Summary
from mina_ops.errors import StateUnavailable

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


@dataclass(frozen=True)
class _View:
    """The reports of a colour, and when they were read (monotonic seconds)."""

    reports: dict[str, Report]
    read_at: float


class Presence:
    """Announces this process and knows its peers: a summary at once, whole reports on demand.

    Args:
        store: where the rosters are.
        identity: names this process.
        ttl_seconds: a process that is silent for this long counts as gone.
        beat_seconds: how often `beat` is called.
        process: a process that serves no requests is on a roster of its own, since drains,
            readiness and figures do not count it.
    """

    def __init__(
        self,
        store: Store,
        identity: Identity,
        *,
        ttl_seconds: float,
        beat_seconds: float,
        process: Process | None = None,
    ) -> None:
        self._process = process or Process()
        self._store = store
        self._identity = identity
        self._ttl_seconds = ttl_seconds
        self._beat_seconds = beat_seconds
        self._rosters = {colour: keys.presence(colour) for colour in identity.colours}
        self._components: dict[str, Callable[[], Any]] = {}
        self._summaries = Summaries(store, identity, beat_seconds)
        self._views: dict[str, _View] = {}
        self._one_reads = threading.Lock()
        self._away = False
        self._announced = b""
        self._watched_keys: list[str] = []
        self._watched_registers: list[str] = []
        self._reading: Reading | None = None
        self._asked_at = 0.0
        self._started_at = time.time()
        self._left = False

    def contribute(self, name: str, say: Callable[[], Any], merge: Merge | None = None) -> None:
        """Put what `say()` returns, a JSON value, under `name` into this process's report.

        Args:
            say: called on each beat; None leaves the name out.
            merge: makes one value of what several processes say, for the colour's summary; None:
                the summary holds nothing under this name.
        """
        self._components[name] = say
        if merge is not None:
            self._summaries.merges[name] = merge

    def watch(self, *, keys: Sequence[str] = (), registers: Sequence[str] = ()) -> None:
        """Read these keys, and the versions of these registers, on each beat as well.

        They are read in the round trip that announces this process: with 2,000 processes it is
        the number of round trips that keeps Redis busy.
        """
        self._watched_keys += keys
        self._watched_registers += registers

    def version(self, register: str) -> tuple[str, int] | None:
        """Epoch and version of a watched register, as of this beat; None: the beat read none."""
        return None if self._reading is None else self._reading.versions.get(register)

    def values(self, *, asked_after: float) -> Mapping[str, bytes] | None:
        """Those of the watched keys that exist, as of this beat.

        Args:
            asked_after: monotonic seconds. Returns None if this beat read before that moment.
                Example: a request changed a key after the beat had read it, so the value here is
                older than the change.
        """
        if self._reading is None or self._asked_at < asked_after:
            return None
        return self._reading.values

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
        """Announce this process and read the summaries, in one round trip.

        Raises:
            StateUnavailable: the store is away; what was known stays, and grows old.
        """
        ttl = self._ttl_seconds
        self._reading = None
        try:
            if self._process.kind is Kind.WORKER:
                self._announce_worker()
            elif self._left:
                self._summaries.take(self._store.get_all(self._summaries.keys))
            else:
                self._asked_at = time.monotonic()
                self._reading = self._announce(ttl)
                self._summaries.take(self._reading.values)
                self._summaries.lead(ttl)
        except StateUnavailable:
            self._away = True
            raise
        self._away = False

    @property
    def leads(self) -> bool:
        """Whether this process makes the summary of its colour at present."""
        return self._summaries.leads

    def leave(self) -> None:
        """Take this process off the roster for good, now rather than after its time to live."""
        self._left = True
        environment, process_id = self._identity.environment, self._identity.process_id
        if self._process.kind is Kind.WORKER:
            self._store.withdraw(keys.workers(environment), process_id)
            return
        self._store.withdraw(self._rosters[environment], process_id)
        self._summaries.leave()

    def summary(self, environment: str | None = None) -> Summary:
        """A colour (default: ours) summed up, from memory; at most some two beats behind.

        Until a first summary was read, and without a shared store, it is made of this process.
        """
        colour = environment or self._identity.environment
        found = self._summaries.of(colour, self._ttl_seconds)
        if colour != self._identity.environment or (found.processes and self._store.shared):
            return found
        return self._summaries.alone(self.own(), stale=found.stale)

    def peers(self, environment: str | None = None, *, component: str | None = None) -> Peers:
        """The whole reports of a colour's processes (default: ours); this one as it is now.

        Reads the store if the last reading is older than a beat, so it blocks up to the store's
        time limit; while the store is away, or another thread reads, it answers from memory.

        Args:
            component: of this process only what this one says is asked, which costs less.
        """
        colour = environment or self._identity.environment
        self._read_if_old(colour)
        view = self._views.get(colour)
        reports = {} if view is None else dict(view.reports)
        serves = self._process.kind is Kind.WEB and not self._left
        if colour == self._identity.environment and serves:
            own = self.own() if component is None else {component: self._components[component]()}
            reports[self._identity.process_id] = own
        age = None if view is None else time.monotonic() - view.read_at
        too_old = age is None or age > self._ttl_seconds
        return Peers(reports, age, stale=too_old and self._store.shared)

    def reports(self, component: str, colour: str) -> dict[str, Any]:
        """What each process of a colour says of one component; {} where it says nothing."""
        found = self.peers(colour, component=component).reports
        return {name: report.get(component) or {} for name, report in found.items()}

    def _announce_worker(self) -> None:
        if not self._left:
            roster = keys.workers(self._identity.environment)
            own = json.dumps(self.own()).encode()
            self._store.announce(
                roster, self._identity.process_id, own, ttl_seconds=self._ttl_seconds
            )

    def _announce(self, ttl_seconds: float) -> Reading:
        own = json.dumps(self.own()).encode()
        changed, self._announced = own != self._announced, b""
        found = self._store.announce(
            self._rosters[self._identity.environment],
            self._identity.process_id,
            own,
            ttl_seconds=ttl_seconds,
            unchanged=not changed,
            read=[*self._summaries.keys, *self._watched_keys],
            versions=self._watched_registers,
        )
        self._announced = own
        return found

    def _read_if_old(self, colour: str) -> None:
        # One thread reads at a time; others take the last view meanwhile, if there is one.
        first = colour not in self._views
        if not self._is_old(colour) or not self._one_reads.acquire(blocking=first):
            return
        try:
            found = self._store.members(self._rosters.get(colour) or keys.presence(colour))
            reports = dict(zip(found, map(json.loads, found.values()), strict=True))
            self._views[colour] = _View(reports, time.monotonic())
        except StateUnavailable:
            self._away = True
        finally:
            self._one_reads.release()

    def _is_old(self, colour: str) -> bool:
        view = self._views.get(colour)
        if self._away:
            return False
        return (
            view is None
            or not self._store.shared
            or time.monotonic() - view.read_at > self._beat_seconds
        )
