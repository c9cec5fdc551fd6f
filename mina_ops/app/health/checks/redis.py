"""Does the shared state answer, and does it take writes?"""

from __future__ import annotations

from mina_ops.app.health.model import Check
from mina_ops.app.settings import Settings
from mina_ops.app.state import Store, keys

DEADLINE_SECONDS = 2.0
_MARK_SECONDS = 60.0


def redis_check(store: Store, settings: Settings, *, ttl_seconds: float) -> Check:
    """A ping and a small write through the store's own client; disabled without Redis.

    The write tells a replica, a full memory and a refused snapshot from a Redis that works.
    """
    words = ("connected", "disconnected")
    facts = {"store": store.name}
    if not store.shared:
        return Check(name="redis", run=None, words=words, facts=facts)

    def ask() -> None:
        store.ping()
        store.put(keys.health_mark(settings.environment), b"1", ttl_seconds=_MARK_SECONDS)

    return Check(
        name="redis",
        run=ask,
        deadline_seconds=DEADLINE_SECONDS,
        ttl_seconds=ttl_seconds,
        words=words,
        facts=facts,
    )
