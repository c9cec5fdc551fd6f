"""The freeze that holds on every machine: while it is there, no release starts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from mina_ops.app.clock import Clock
from mina_ops.app.state import keys
from mina_ops.app.state.base import Store


@dataclass(frozen=True)
class Freeze:
    """Who froze releases, why, and since when (Unix time)."""

    who: str
    why: str
    since: float

    def to_json(self) -> dict[str, object]:
        """Its fields."""
        return asdict(self)


class ReleaseFreeze:
    """The freeze of one product. Every method may raise StateUnavailable."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def read(self) -> Freeze | None:
        """The freeze that holds, if any."""
        raw = self._store.get(keys.FREEZE)
        return None if raw is None else Freeze(**json.loads(raw))

    def set(self, who: str, why: str) -> tuple[Freeze | None, Freeze]:
        """What held before, and what holds now; a second freeze keeps the first one's moment."""
        before = self.read()
        now = Freeze(who, why, before.since if before else round(self._clock.now(), 3))
        self._store.put(keys.FREEZE, json.dumps(asdict(now)).encode())
        return before, now

    def lift(self) -> Freeze | None:
        """What held until now; None: nothing did. Idempotent."""
        before = self.read()
        self._store.delete(keys.FREEZE)
        return before
