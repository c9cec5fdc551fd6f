"""A semaphore of a fleet: few ask at a time what all share, and their answers serve the others.

Hundreds of processes that start together must not all open a database connection at once: a
PostgreSQL takes 100 as it comes, and the host's own requests need them. Before a process knows how
many there are, it therefore looks into the store first:

    150 workers of blue begin. Four get one of the four permits, and ask the database.
    The first of them has its answer after 30 ms, and writes it down for its check's pause.
    The other 146 have waited meanwhile; those with the same vantage point (see `vantage.py`)
    take that answer as theirs. Workers on other machines take a permit as soon as one is given
    back.

A permit that is not given back, since its holder was killed or hangs, lapses after two beats.
Nobody waits for ever: who lost patience asks without a permit, at a random moment.
"""

from __future__ import annotations

import json
import math
import random
import time
from contextlib import suppress
from dataclasses import dataclass

from mina_ops.app.health.model import Check, Result
from mina_ops.app.identity import Identity
from mina_ops.app.state import keys
from mina_ops.app.state.base import Store
from mina_ops.errors import StateUnavailable

PERMITS = 4
"""So many processes of a colour may ask at the same time."""

_PERMIT_BEATS = 2.0
# While nobody knows how many they are, patience outlives two holders that hang. Later, when all ask
# because one of them failed, it must not hide for long that the database is dead.
_FIRST_PATIENCE_BEATS, _PATIENCE_BEATS = (2.0, 6.0), (1.0, 3.0)
_SILENT_SECONDS = 1.0
_FAILURES = 2
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.02, 0.3


@dataclass(frozen=True)
class Site:
    """Where permits are taken, and as whom.

    Attributes:
        vantage: whose answers are as good as this process's own; see `vantage.vantage_of`.
    """

    store: Store
    identity: Identity
    vantage: str
    beat_seconds: float


class Wait:
    """One process waits for a permit to run one check, once.

    Args:
        takes_answers: whether an answer that another process has found will do.
    """

    def __init__(self, site: Site, check: Check, *, takes_answers: bool) -> None:
        self._site = site
        self._check = check
        self._takes_answers = takes_answers
        # Of its own: the state of the module's generator may be the host's, who seeded it.
        self._random = random.Random()  # noqa: S311 - no secret
        self._permit: str | None = None
        patience = _FIRST_PATIENCE_BEATS if takes_answers else _PATIENCE_BEATS
        beats = self._random.uniform(*patience)
        self._until = time.monotonic() + site.beat_seconds * beats
        self._asks_since = math.inf

    def is_in_vain(self, now: float) -> bool:
        """Whether the store, or the resolver of its name, hangs: who waits is to be left behind."""
        return now > self._asks_since + _SILENT_SECONDS

    def answer_or_permit(self) -> Result | None:
        """What another process has found; None: ask now. Blocks up to six beats.

        While the store is away all ask, up to a beat later.
        """
        failures, numbers, pause = 0, range(PERMITS), _FIRST_PAUSE_SECONDS
        while True:
            try:
                found = self._answer()
                if found is None and self._took_one_of(numbers):
                    # Whoever gave this permit back has told its answer just before.
                    return self._answer()
                if found is not None:
                    return found
                # From now on one command each time: hundreds wait.
                numbers = range(at := self._random.randrange(PERMITS), at + 1)
                nap = pause * self._random.uniform(0.5, 1.5)
                pause = min(1.5 * pause, _LONGEST_PAUSE_SECONDS)
            except StateUnavailable:
                failures += 1
                nap = self._random.uniform(0, self._site.beat_seconds)
            finally:
                self._asks_since = math.inf
            if failures == _FAILURES or time.monotonic() > self._until:
                return None
            time.sleep(nap)

    def end(self, result: Result | None) -> None:
        """Give the permit back, if it has one, and tell others what it found.

        Args:
            result: None: it did not ask. A failure is told to nobody: who else fails shall see
                that for itself.
        """
        with suppress(StateUnavailable):
            if result is not None and result.ok:
                self._tell(result)
            if self._permit is not None:
                self._site.store.replace(self._permit, self._owner, None)

    @property
    def _owner(self) -> bytes:
        return self._site.identity.process_id.encode()

    @property
    def _answer_key(self) -> str:
        site = self._site
        return keys.check_answer(site.identity.environment, self._check.name, site.vantage)

    def _answer(self) -> Result | None:
        if not self._takes_answers:
            return None
        self._asks_since = time.monotonic()
        raw = self._site.store.get(self._answer_key)
        if raw is None:
            return None
        with suppress(ValueError, TypeError, KeyError):  # of another version of mina_ops
            said = json.loads(raw)
            return Result(
                ok=True,
                # Both count from the start of the same machine.
                ended=min(float(said["ended"]), time.monotonic()),
                latency_seconds=said["latency_seconds"],
                data=dict(said["data"]),
                state=str(said["state"]),
                is_of_other=True,
            )
        return None

    def _tell(self, result: Result) -> None:
        said = {
            "ended": result.ended,
            "latency_seconds": result.latency_seconds,
            "data": dict(result.data),
            "state": result.state,
        }
        # A host's own check may tell what JSON cannot hold: then each asks for itself.
        with suppress(TypeError, ValueError):
            raw = json.dumps(said, default=str).encode()
            self._site.store.put(self._answer_key, raw, ttl_seconds=self._check.ttl_seconds)

    def _took_one_of(self, numbers: range) -> bool:
        site = self._site
        for number in numbers:
            permit = keys.check_permit(site.identity.environment, self._check.name, number)
            ttl = _PERMIT_BEATS * site.beat_seconds
            self._asks_since = time.monotonic()
            if site.store.put_new(permit, self._owner, ttl_seconds=ttl):
                self._permit = permit
                return True
        return False
