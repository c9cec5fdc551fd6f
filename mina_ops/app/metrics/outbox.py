"""Counted amounts that wait to be stored: kept while the store is away, stored exactly once."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from mina_ops.app.forks import call_in_children
from mina_ops.app.metrics import windows
from mina_ops.app.metrics.recorder import Counted
from mina_ops.app.state import keys
from mina_ops.app.state.base import Store

MOST_COARSE = 360  # an hour
MOST_FINE = 90
_BATCH = 30  # slices that are stored in one step; a long one would hold up everybody's Redis

_Tallies = dict[str, dict[str, float]]


@dataclass(frozen=True)
class _Batch:
    """Tallies that may have been stored already, if the answer alone got lost."""

    once: str
    tallies: _Tallies
    ttl_seconds: float


class Outbox:
    """Sorts what was counted into tallies and adds them to the store, oldest first.

    While the store is away it keeps the last hour; what is older is given up.
    """

    def __init__(self, store: Store, environment: str, version: str) -> None:
        self._store = store
        self._environment = environment
        self._total_key = keys.metrics_total(environment, version)
        self.clear()
        call_in_children(self.clear)

    def clear(self) -> None:
        """Forget all that waits, as a forked child must: the parent stores it."""
        self._name = uuid.uuid4().hex
        self._number = 0
        self._fine: _Tallies = {}
        self._coarse: _Tallies = {}
        self._total: dict[str, float] = {}
        self._unsure: list[_Batch] = []

    @property
    def waiting(self) -> int:
        """Tallies that the store does not have yet, as far as we know."""
        unsure = sum(len(batch.tallies) for batch in self._unsure)
        return unsure + len(self._fine) + len(self._coarse)

    def put(self, counted: Counted, now: float) -> None:
        """Keep what was counted up to `now` until `flush`."""
        if not counted.recent:
            return
        _merge(self._fine.setdefault(self._slice(now, windows.FINE_SECONDS), {}), counted.recent)
        _merge(
            self._coarse.setdefault(self._slice(now, windows.COARSE_SECONDS), {}), counted.recent
        )
        _merge(self._total, counted.total)
        _drop_oldest(self._fine, MOST_FINE)
        _drop_oldest(self._coarse, MOST_COARSE)

    def flush(self) -> None:
        """Add what waits to the store, some 30 slices at most; for one thread at a time.

        Raises:
            StateUnavailable: all is kept, and stored by a later call.
        """
        if not self._unsure:
            total = {self._total_key: self._total} if self._total else {}
            self._total = {}
            self._unsure += self._batch(
                {**total, **_first(self._coarse)}, windows.COARSE_TTL_SECONDS
            )
            self._unsure += self._batch(_first(self._fine), windows.FINE_TTL_SECONDS)
        while self._unsure:
            batch = self._unsure[0]
            self._store.add(batch.tallies, ttl_seconds=batch.ttl_seconds, once=batch.once)
            del self._unsure[0]

    def _batch(self, tallies: _Tallies, ttl_seconds: float) -> list[_Batch]:
        self._number += 1
        once = f"{self._name}:{self._number}"
        return [_Batch(once, tallies, ttl_seconds)] if tallies else []

    def _slice(self, now: float, step: int) -> str:
        return keys.metrics_slice(self._environment, windows.slice_start(now, step), step)


def _merge(tally: dict[str, float], amounts: Mapping[str, float]) -> None:
    for name, amount in amounts.items():
        tally[name] = tally.get(name, 0.0) + amount


def _first(tallies: _Tallies) -> _Tallies:
    """Take the oldest tallies out, a batch of them."""
    return {key: tallies.pop(key) for key in list(tallies)[:_BATCH]}


def _drop_oldest(tallies: _Tallies, most: int) -> None:
    while len(tallies) > most:
        del tallies[next(iter(tallies))]
