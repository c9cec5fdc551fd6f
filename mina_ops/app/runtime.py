"""Holds all components of one app, and ends them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.drain.component import Drain
from mina_ops.app.flags.component import Flags
from mina_ops.app.health.component import Health
from mina_ops.app.heartbeat import Heartbeat
from mina_ops.app.metrics.component import Metrics
from mina_ops.app.recovery.component import Recovery
from mina_ops.app.releases.pages import PageReleases
from mina_ops.app.sessions.component import Connections
from mina_ops.app.socketio_binding import SocketIOBinding
from mina_ops.app.state.base import Store
from mina_ops.app.streams.streams import Streams
from mina_ops.errors import StateUnavailable

_LAST_BEAT_SECONDS = 2.0


@dataclass(frozen=True, eq=False)
class Runtime:
    """All of mina_ops for one app; lives in `app.extensions["mina_ops"]`."""

    context: Context
    socketio: SocketIOBinding
    health: Health
    metrics: Metrics
    connections: Connections
    streams: Streams
    recovery: Recovery
    drain: Drain
    flags: Flags
    pages: PageReleases
    routes: tuple[Component, ...]

    @property
    def components(self) -> tuple[Component, ...]:
        """The features, in the order in which they beat, then what answers for them."""
        # Health never waits for Redis: it is first, so that no other delays its first results.
        talk = (self.connections, self.streams, self.recovery, self.drain)
        return (self.health, self.metrics, *talk, self.flags, self.pages, *self.routes)

    @property
    def heartbeat(self) -> Heartbeat:
        """The background loop of this process."""
        return self.context.heartbeat

    @property
    def store(self) -> Store:
        """What all processes of both colours share."""
        return self.context.store

    def close(self) -> None:
        """End every thread, connection and subscription of this app; idempotent.

        Blocks for the present beat and the store's timeout, 3 s at most.
        """
        context = self.context
        # First of all, so that no beat opens again what is closed below.
        context.heartbeat.stop(wait_seconds=_LAST_BEAT_SECONDS)
        for component in reversed(self.components):
            component.close()
        context.audit.close()
        with suppress(StateUnavailable):
            context.presence.leave()
        context.database.end()
        context.store.close()
