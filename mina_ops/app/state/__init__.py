"""What the processes of both colours share: a port, and Redis or memory behind it."""

from __future__ import annotations

from mina_ops.app.settings import Settings
from mina_ops.app.state.base import Change, Register, Store, Subscription
from mina_ops.app.state.memory import MemoryStore

__all__ = ["Change", "MemoryStore", "Register", "Store", "Subscription", "open_store"]


def open_store(settings: Settings) -> Store:
    """The store that `REDIS_URL` names, not yet connected; without it, this process's memory."""
    if settings.redis_url is None:
        return MemoryStore()
    from mina_ops.app.state.redis import RedisStore

    return RedisStore.from_url(settings.redis_url, timeout_seconds=settings.redis_timeout_seconds)
