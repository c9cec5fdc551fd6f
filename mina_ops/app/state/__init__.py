"""What the processes of both colours share: a port, and Redis or memory behind it."""

from __future__ import annotations

import logging

from mina_ops.app.settings import Settings
from mina_ops.app.state.base import Change, Register, Store, Subscription
from mina_ops.app.state.memory import MemoryStore
from mina_ops.errors import ConfigurationError

_log = logging.getLogger(__name__)

__all__ = ["Change", "MemoryStore", "Register", "Store", "Subscription", "open_store"]


def open_store(settings: Settings) -> Store:
    """The store that `REDIS_URL` names, not yet connected; without it, this process's memory.

    A URL that cannot be used must not stop the host: every call of the store then raises
    `StateUnavailable`, and the log says why.
    """
    if settings.redis_url is None:
        return MemoryStore()
    return _redis(settings, settings.redis_url)


def _redis(settings: Settings, url: str) -> Store:
    from mina_ops.app.state.connect import unusable
    from mina_ops.app.state.redis import RedisStore

    limit = settings.redis_timeout_seconds
    try:
        return RedisStore.from_url(url, timeout_seconds=limit, product=settings.product)
    except (ConfigurationError, ValueError) as exc:
        # Another exception's text may hold the password.
        reason = str(exc) if isinstance(exc, ConfigurationError) else "it is no URL"
        _log.error("REDIS_URL cannot be used, so nothing is shared: %s", reason)
        return RedisStore(unusable(f"REDIS_URL cannot be used: {reason}"))
