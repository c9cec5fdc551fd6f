"""The check `redis`: whether the store answers, takes writes, and belongs to this site alone."""

from __future__ import annotations

from mina_ops.app.health.model import Check, Warned
from mina_ops.app.settings import Settings
from mina_ops.app.state import Store, keys

DEADLINE_SECONDS = 2.0
_MARK_SECONDS = 60.0


def redis_check(store: Store, settings: Settings, *, site: str, ttl_seconds: float) -> Check:
    """A ping and a small write through the store's own client; disabled without Redis.

    The write tells a replica, a full memory and a refused snapshot from a Redis that works.

    Args:
        site: what blue and green of one site have in common and no other site has. Two sites that
            meet under one product's name would drain each other: they are warned.
    """
    words = ("connected", "disconnected")
    facts = {"store": store.name}
    if not store.shared:
        return Check(name="redis", run=None, words=words, facts=facts)

    def ask() -> None:
        store.ping()
        store.put(keys.health_mark(settings.environment), b"1", ttl_seconds=_MARK_SECONDS)
        store.announce(keys.SITES, site, b"1", ttl_seconds=_MARK_SECONDS)
        if len(store.members(keys.SITES)) > 1:
            raise Warned(
                "another site uses this Redis database under the same name, so each drains and "
                "counts the other: set MINA_OPS_PRODUCT to a name of its own for each"
            )
        oddity = store.oddity()
        if oddity is not None:
            raise Warned(oddity)

    return Check(
        name="redis",
        run=ask,
        deadline_seconds=DEADLINE_SECONDS,
        ttl_seconds=ttl_seconds,
        words=words,
        facts=facts,
    )
