"""Waits until every live process has applied a change of flags.

Who is alive is told by presence. What each has applied is told there too, once a beat, and on a
roster of its own as soon as a hint was followed: a whole beat of every process for each change
would keep the machine busier than the changes themselves.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mina_ops.app.flags.cache import Cache
from mina_ops.app.flags.repository import Changed
from mina_ops.app.identity import Identity
from mina_ops.app.state import keys
from mina_ops.app.state.base import Store
from mina_ops.errors import StateUnavailable

MOST_SECONDS = 30.0

_PAUSE_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Which live processes have applied a change, and which have not (yet)."""

    applied: tuple[str, ...]
    waiting_for: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every live process has."""
        return not self.waiting_for


class Confirmations:
    """Asks the rosters of all colours who has applied what."""

    def __init__(
        self, store: Store, identity: Identity, cache: Cache, *, ttl_seconds: float
    ) -> None:
        self._store = store
        self._cache = cache
        self._identity = identity
        self._ttl_seconds = ttl_seconds

    def tell(self) -> None:
        """Say what this process has applied; raises StateUnavailable."""
        self._store.announce(
            keys.FLAGS_APPLIED,
            self._own(),
            json.dumps(self._applied_here()).encode(),
            ttl_seconds=self._ttl_seconds,
        )

    def wait(self, changed: Changed, seconds: float) -> Confirmation:
        """Wait until all have applied the change, for `seconds` at most.

        A process that dies meanwhile leaves the roster when its presence expires, and is not
        waited for any longer. This process follows the store meanwhile, if it does not yet.
        """
        deadline = time.monotonic() + seconds
        while True:
            if not _has_applied(self._applied_here(), changed):
                self._cache.try_refresh()
            began = time.monotonic()
            found = self.look(changed)
            ended = time.monotonic()
            if found.complete or ended >= deadline:
                return found
            # A look at 2,000 processes keeps Redis busy for some 10 ms. Four times that long it is
            # left free for everybody else.
            time.sleep(max(_PAUSE_SECONDS, 4 * (ended - began)))

    def _live(self) -> dict[str, list[Mapping[str, Any]]]:
        """Each live process -> what it said of its flags, as one that serves and as a worker."""
        found: dict[str, list[Mapping[str, Any]]] = {}
        for colour in sorted(self._identity.colours):
            for roster in (keys.presence(colour), keys.workers(colour)):
                for process, raw in self._store.members(roster).items():
                    said = found.setdefault(f"{colour}/{process}", [])
                    said.append(json.loads(raw).get("flags") or {})
        return found

    def _own(self) -> str:
        return f"{self._identity.environment}/{self._identity.process_id}"

    def _applied_here(self) -> Mapping[str, Any]:
        epoch, version = self._cache.applied
        return {"epoch": epoch, "version": version}

    def look(self, changed: Changed) -> Confirmation:
        """Who has applied the change by now."""
        own = self._own()
        applied: list[str] = []
        waiting: list[str] = []
        (applied if _has_applied(self._applied_here(), changed) else waiting).append(own)
        try:
            told = self._store.members(keys.FLAGS_APPLIED)
            for name, said in self._live().items():
                if name != own:
                    said.append(json.loads(told.get(name, b"{}")))
                    done = any(_has_applied(one, changed) for one in said)
                    (applied if done else waiting).append(name)
        except StateUnavailable:
            waiting.append("processes unknown: the shared state is away")
        return Confirmation(tuple(sorted(applied)), tuple(sorted(waiting)))


def _has_applied(said: Mapping[str, Any], changed: Changed) -> bool:
    return bool(
        said.get("epoch") == changed.epoch and int(said.get("version", 0)) >= changed.version
    )
