"""The checks that every app has: what they ask is found in the app and its settings."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from mina_ops.app.context import Context
from mina_ops.app.health.checks.database import database_check
from mina_ops.app.health.checks.disk import disk_check
from mina_ops.app.health.checks.migrations import migrations_check
from mina_ops.app.health.checks.openai import RecentCalls, openai_check
from mina_ops.app.health.checks.redis import redis_check
from mina_ops.app.health.checks.websockets import websockets_check
from mina_ops.app.health.model import Check
from mina_ops.app.native import Native
from mina_ops.app.socketio_binding import SocketIOBinding


class BuiltIn:
    """Makes the built-in checks of one app.

    Args:
        binding: finds the app's Socket.IO server.
    """

    def __init__(self, context: Context, binding: SocketIOBinding) -> None:
        self._context = context
        self._app = context.app
        self._settings = context.settings
        self._store = context.store
        self._own = context.database
        self._binding = binding
        self.openai_calls = RecentCalls()

    def checks(self) -> Iterator[Check]:
        """All of them, in the playbook's order; those of what the app does not use are disabled."""
        settings = self._settings
        ttl = settings.health_interval_seconds
        yield self._database()
        yield redis_check(self._store, settings, site=self._site(), ttl_seconds=ttl)
        yield openai_check(settings, self.openai_calls)
        yield self._websockets()
        yield disk_check(settings, Native())
        yield self._migrations()

    def late(self) -> Iterator[Check]:
        """Made again: hosts often set these up after us, but before the first request."""
        yield self._database()
        yield self._websockets()
        yield self._migrations()

    def _site(self) -> str:
        """Tells this site from others: its database, or its secret where it has none."""
        database = self._own.address()
        told = database or str(self._app.config.get("SECRET_KEY") or "")
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def _database(self) -> Check:
        return database_check(self._own, ttl_seconds=self._settings.health_interval_seconds)

    def _websockets(self) -> Check:
        return websockets_check(self._binding, self._colours_beside)

    def _colours_beside(self) -> list[str]:
        """Other colours that have a process now and must hear ours, from memory."""
        own, context = self._settings.environment, self._context
        if not self._settings.queue_needed:
            return []
        others = [colour for colour in context.identity.colours if colour != own]
        found = {colour: context.presence.summary(colour) for colour in others}
        return [colour for colour, seen in found.items() if seen.processes and not seen.stale]

    def _migrations(self) -> Check:
        interval = self._settings.health_interval_seconds
        return migrations_check(self._app, self._own, interval_seconds=interval)
