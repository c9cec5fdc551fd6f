"""The check `redis`: whether the store answers, takes writes, and belongs to this site alone."""

from __future__ import annotations

from mina_ops.app.health.model import Check, Warned
from mina_ops.app.settings import Settings
from mina_ops.app.state import Store, keys

DEADLINE_SECONDS = 2.0
_MARK_SECONDS = 60.0
_LOOKS_EVERY = 6
"""Runs between two looks at what is odd: with 2,000 processes these looks alone would take a tenth
of Redis' processor if each run made one."""


def redis_check(store: Store, settings: Settings, *, site: str, ttl_seconds: float) -> Check:
    """A small write through the store's own client; disabled without Redis.

    The write tells a replica, a full memory and a refused snapshot from a Redis that works.

    Args:
        site: what blue and green of one site have in common and no other site has. Two sites that
            meet under one product's name would drain each other: they are warned.
    """
    words = ("connected", "disconnected")
    facts = {"store": store.name}
    if not store.shared:
        return Check(name="redis", run=None, words=words, facts=facts)

    oddities = _Oddities(store, site, max(_MARK_SECONDS, 2 * _LOOKS_EVERY * ttl_seconds))

    def ask() -> None:
        store.put(keys.health_mark(settings.environment), b"1", ttl_seconds=_MARK_SECONDS)
        found = oddities.found()
        if found is not None:
            raise Warned(found)

    return Check(
        name="redis",
        run=ask,
        deadline_seconds=DEADLINE_SECONDS,
        ttl_seconds=ttl_seconds,
        words=words,
        facts=facts,
    )


class _Oddities:
    """What serves and yet somebody should look at; looked for at first, then now and then."""

    def __init__(self, store: Store, site: str, remembered_seconds: float) -> None:
        self._store = store
        self._site = site
        self._remembered_seconds = remembered_seconds
        self._runs = 0
        self._last: str | None = None

    def found(self) -> str | None:
        """What was odd at the last look; raises `StateUnavailable`."""
        if self._runs % _LOOKS_EVERY == 0:
            self._last = self._look()
        self._runs += 1
        return self._last

    def _look(self) -> str | None:
        ttl = self._remembered_seconds
        self._store.announce(keys.SITES, self._site, b"1", ttl_seconds=ttl)
        if len(self._store.members(keys.SITES)) > 1:
            return (
                "another site uses this Redis database under the same name, so each drains and "
                "counts the other: set MINA_OPS_PRODUCT to a name of its own for each"
            )
        return self._store.oddity()
