"""The checks that every app has: what they ask is found in the app and its settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask

from mina_ops.app.database.connection import OwnConnection
from mina_ops.app.health.checks.database import database_check
from mina_ops.app.health.checks.disk import disk_check
from mina_ops.app.health.checks.migrations import migrations_check
from mina_ops.app.health.checks.openai import RecentCalls, openai_check
from mina_ops.app.health.checks.redis import redis_check
from mina_ops.app.health.checks.websockets import websockets_check
from mina_ops.app.health.model import Check
from mina_ops.app.native import Native
from mina_ops.app.settings import Settings
from mina_ops.app.state import Store


class BuiltIn:
    """Makes the built-in checks of one app.

    Args:
        own: our connection to the app's database.
        socketio: the host's object; None: looked for in the app's extensions, each time a check
            is made.
        socketio_server: the Socket.IO server that belongs to this app, once it is known.
    """

    def __init__(
        self,
        app: Flask,
        settings: Settings,
        store: Store,
        *,
        socketio: Any,
        own: OwnConnection,
        socketio_server: Callable[[], Any],
    ) -> None:
        self._app = app
        self._settings = settings
        self._store = store
        self._socketio = socketio
        self._own = own
        self._socketio_server = socketio_server
        self.openai_calls = RecentCalls()

    def checks(self) -> Iterator[Check]:
        """All of them, in the playbook's order; those of parts that are not there are disabled."""
        settings = self._settings
        ttl = settings.health_interval_seconds
        yield self._database()
        yield redis_check(self._store, settings, ttl_seconds=ttl)
        yield openai_check(settings, self.openai_calls)
        yield self._websockets()
        yield disk_check(settings, Native())
        yield self._migrations()

    def late(self) -> Iterator[Check]:
        """Made again: hosts often set these parts up after us, but before the first request."""
        yield self._database()
        yield self._websockets()
        yield self._migrations()

    def _database(self) -> Check:
        return database_check(self._own, ttl_seconds=self._settings.health_interval_seconds)

    def _websockets(self) -> Check:
        socketio = self._socketio or self._app.extensions.get("socketio")
        return websockets_check(socketio, self._socketio_server)

    def _migrations(self) -> Check:
        interval = self._settings.health_interval_seconds
        return migrations_check(self._app, self._own, interval_seconds=interval)
