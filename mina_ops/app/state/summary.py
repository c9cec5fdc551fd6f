"""A small summary of a colour, made by one of its processes and read by all.

If each of 1,000 processes read the report of every other on each beat, Redis would serve a million
reports a second. So one process reads them all, merges them, and writes the result under one key;
the others read that key. Which process does it is decided by a lease of two beats in the store:

    beat 1   A takes the lease, writes summary 1; B and C read it
    beat 2   A is killed; B and C still read summary 1
    beat 3   the lease expires; B has seen nothing new for 1.5 beats, takes the lease, writes

Two processes that both believe they hold the lease do no harm: they summarise the same reports, and
the later summary stands.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mina_ops.app.identity import Identity
from mina_ops.app.state import keys
from mina_ops.app.state.base import Store

Merge = Callable[[Sequence[Any]], Any]
"""Reports of one component by several processes -> one JSON value. Pure."""

_LEASE_BEATS = 2.0
_UNCHANGED_BEATS = 1.5


@dataclass(frozen=True)
class Summary:
    """A colour as one of its processes last summed it up.

    `processes` is the number of live ones, `parts` maps a component's name to its merged reports;
    `age_seconds` is how long this process has seen no newer one (None: never saw any); `stale` says
    that this is longer than a process may be silent.
    """

    processes: int = 0
    parts: Mapping[str, Any] = field(default_factory=dict)
    age_seconds: float | None = None
    stale: bool = True


@dataclass
class _Seen:
    """The last summary of a colour, and when it was first seen here (monotonic seconds)."""

    raw: bytes = b""
    processes: int = 0
    parts: Mapping[str, Any] = field(default_factory=dict)
    changed_at: float | None = None


class Summaries:
    """Reads the summaries of all colours; makes that of its own colour while it has the lease."""

    def __init__(self, store: Store, identity: Identity, beat_seconds: float) -> None:
        self.merges: dict[str, Merge] = {"version": _count}
        self.leads = False
        """Whether this process makes the summary at present."""
        self._store = store
        self._identity = identity
        self._beat_seconds = beat_seconds
        self._number = 0
        self._seen = {colour: _Seen() for colour in identity.colours}

    @property
    def _environment(self) -> str:
        return self._identity.environment

    @property
    def _owner(self) -> bytes:
        return self._identity.process_id.encode()

    @property
    def keys(self) -> list[str]:
        """What to read on each beat, for `take`."""
        return [keys.summary(colour) for colour in self._seen]

    def take(self, found: Mapping[str, bytes]) -> None:
        """Remember what was read: key -> value."""
        now = time.monotonic()
        for colour, seen in self._seen.items():
            raw = found.get(keys.summary(colour), b"")
            if raw == seen.raw:
                continue
            document = json.loads(raw) if raw else {}
            self._seen[colour] = _Seen(
                raw, int(document.get("processes", 0)), document.get("parts", {}), now
            )

    def lead(self, ttl_seconds: float) -> None:
        """Make the summary if it is this process's turn; raises `StateUnavailable`.

        Args:
            ttl_seconds: when the summary expires, if all processes of the colour have died.
        """
        if not self._has_lease():
            return
        members = self._store.members(keys.presence(self._environment))
        raw = json.dumps(self._document(members)).encode()
        key = keys.summary(self._environment)
        self._store.put(key, raw, ttl_seconds=ttl_seconds)
        self.take({**{keys.summary(c): s.raw for c, s in self._seen.items()}, key: raw})

    def leave(self) -> None:
        """Give the lease back, so that another process takes it on its next beat."""
        if self.leads:
            self.leads = False
            self._store.replace(keys.summary_lease(self._environment), self._owner, None)

    def of(self, colour: str, patience_seconds: float) -> Summary:
        """The last summary of a colour, from memory."""
        seen = self._seen.get(colour, _Seen())
        age = None if seen.changed_at is None else time.monotonic() - seen.changed_at
        stale = age is None or age > patience_seconds
        return Summary(seen.processes, seen.parts, age, stale=stale and self._store.shared)

    def alone(self, report: Mapping[str, Any], *, stale: bool) -> Summary:
        """The summary of a colour in which there is, or seems to be, this process alone."""
        return Summary(1, self._merged([report]), 0.0, stale)

    def _has_lease(self) -> bool:
        lease = keys.summary_lease(self._environment)
        ttl = _LEASE_BEATS * self._beat_seconds
        if self.leads:
            self.leads = self._store.replace(lease, self._owner, self._owner, ttl_seconds=ttl)
        elif self._unchanged_seconds() > _UNCHANGED_BEATS * self._beat_seconds:
            self.leads = self._store.put_new(lease, self._owner, ttl_seconds=ttl)
        return self.leads

    def _unchanged_seconds(self) -> float:
        changed_at = self._seen[self._environment].changed_at
        return float("inf") if changed_at is None else time.monotonic() - changed_at

    def _document(self, members: Mapping[str, bytes]) -> dict[str, Any]:
        self._number += 1  # each summary differs from the last one, so others see that we live
        reports = [json.loads(raw) for raw in members.values()]
        return {
            "number": self._number,
            "processes": len(reports),
            "parts": self._merged(reports),
        }

    def _merged(self, reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        said = {name: [r[name] for r in reports if r.get(name) is not None] for name in self.merges}
        merged = {name: merge(said[name]) for name, merge in self.merges.items()}
        return {name: value for name, value in merged.items() if value is not None}


def _count(values: Sequence[Any]) -> dict[str, int]:
    """How often each value was said."""
    return dict(Counter(map(str, values)))
