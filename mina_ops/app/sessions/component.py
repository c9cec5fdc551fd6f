"""The component that watches an app's Socket.IO server: handshakes, live sessions, their count."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.sessions.admissions import Admissions, Refusal
from mina_ops.app.sessions.capacity import Capacity
from mina_ops.app.sessions.gevent_websocket import refuse_before_upgrade
from mina_ops.app.sessions.handshakes import Handshakes
from mina_ops.app.sessions.model import Count, count_from, sid_prefix, total
from mina_ops.app.sessions.ping import answer_pings
from mina_ops.app.sessions.raw_ping import RawPings
from mina_ops.app.sessions.session import Session
from mina_ops.app.sessions.sessions import CountHandshake, Sessions
from mina_ops.app.socketio_adapter import missing_names
from mina_ops.app.socketio_binding import SocketIOBinding
from mina_ops.app.state.drain_state import DrainState

_log = logging.getLogger(__name__)


class Connections(Component):
    """Tags sessions with their colour, counts them, and asks admissions about each handshake.

    Args:
        binding: finds the app's Socket.IO server.
        admissions: decide whether a new session may come in.
        drain_state: whether each colour drains.
        count_handshake: called with `accepted`, or why a handshake failed, and the client's
            address.
    """

    name = "connections"

    def __init__(
        self,
        context: Context,
        binding: SocketIOBinding,
        admissions: Admissions,
        drain_state: DrainState,
        count_handshake: CountHandshake,
    ) -> None:
        self.identity = context.identity
        self.sessions: Sessions | None = None
        self.raw_pings: RawPings | None = None
        self._is_warned = False
        self._capacity: Capacity | None = None
        self._context = context
        self._binding = binding
        self._admissions = admissions
        self._drain_state = drain_state
        self._count_handshake = count_handshake
        binding.when_bound(self._bind)

    def current_session(self) -> Session | None:
        """The session whose event is being handled; None outside of Socket.IO."""
        return None if self.sessions is None else self.sessions.current()

    def _warn_of_islands(self) -> None:
        """Say once that two colours run without a message queue."""
        if self._is_warned or self.sessions is None or self._hears_others() is not False:
            return
        environment = self.identity.environment
        for colour in self._context.settings.colours:
            if colour != environment and self._context.presence.summary(colour).processes:
                self._is_warned = True
                _log.warning(
                    "%s and %s run without a message queue: what one emits never reaches clients "
                    "of the other. Give SocketIO(message_queue=...); see docs/drain.md.",
                    environment,
                    colour,
                )

    def session(self, eio_sid: str) -> Session | None:
        """A session of this process."""
        return None if self.sessions is None else self.sessions.get(eio_sid)

    def total(self) -> int:
        """How many live sessions this process has."""
        return 0 if self.sessions is None else self.sessions.total()

    def count(self) -> Count:
        """Live sessions of this process."""
        return Count() if self.sessions is None else self.sessions.count()

    def figures(self, colour: str) -> dict[str, Any]:
        """The body of `GET /api/metrics/connections`: live sessions of a colour, all processes.

        May read the store, see `Presence.peers`.
        """
        context = self._context
        peers = context.presence.peers(colour)
        counts = {name: count_from(r.get(self.name)) for name, r in peers.reports.items()}
        sums = total(counts.values())
        read_at = context.clock.now() - (peers.age_seconds or 0.0)
        return {
            "active_connections": sums.total,
            "by_transport": sums.by_transport,
            "by_namespace": sums.by_namespace,
            "by_process": {name: count.total for name, count in counts.items()},
            "drain": str(self._drain_state.of(colour)),
            "environment": colour,
            "window_seconds": 0,
            "samples": sums.total,
            "reporters": len(counts),
            "message_queue": self._hears_others(),
            "server": self._server(),
            "generated_at": datetime.fromtimestamp(read_at, UTC).isoformat(timespec="milliseconds"),
            "stale": peers.stale,
        }

    def _hears_others(self) -> bool | None:
        """Whether there is a message queue; None: none, and `MINA_OPS_QUEUE_NEEDED` is off."""
        has_queue = self._binding.has_queue
        return True if has_queue else False if self._context.settings.queue_needed else None

    def _server(self) -> dict[str, Any]:
        """How this process serves Socket.IO; {} where it serves none."""
        server = self._binding.server
        if server is None or self._capacity is None:
            return {}
        most = self._capacity.most
        return {
            "async_mode": server.eio.async_mode,
            "transports": list(getattr(server.eio, "transports", ["polling", "websocket"])),
            "most_sessions": None if most == float("inf") else int(most),
        }

    def at_start(self) -> None:
        self._binding.look_again()

    def beat(self, now: float) -> None:
        if self.sessions is not None:
            self.sessions.sweep()

        self._warn_of_islands()

    def report(self) -> Any:
        return self.count().as_json()

    def merge(self, reports: Sequence[Any]) -> Any:
        return total(count_from(report) for report in reports).as_json()

    def close(self) -> None:
        """Stop watching the host's Socket.IO object; its server stays wrapped, as the app's own."""
        self._binding.close()

    def _bind(self, server: Any) -> None:
        """Wrap a server that the app got, instead of an earlier one.

        A server whose private parts have other names than we know is left alone, and the log says
        so.
        """
        if missing := missing_names(server):
            _log.error(
                "Live sessions are neither counted nor drained: this release of python-socketio "
                "or python-engineio has no %s. Install a tested one, see docs/dependencies.md.",
                ", ".join(missing),
            )
            return
        context, identity = self._context, self.identity
        tag = sid_prefix(identity.environment, identity.instance)
        generate = server.eio.generate_id
        server.eio.generate_id = lambda: f"{tag}{generate()}"
        self.sessions = sessions = Sessions(server, self._count_handshake)
        self.raw_pings = raw_pings = RawPings(server, context.settings)
        self._capacity = Capacity(
            context.settings, lambda: sessions.held() + raw_pings.count, server.eio.async_mode
        )
        handshakes = Handshakes(context, self._binding.path, sessions, raw_pings, self._admissions)
        refuse_before_upgrade(handshakes)
        answer_pings(server)

    def admit(self, environ: Mapping[str, Any]) -> Refusal | None:
        """Refuse new sessions before the worker is full; an `Admission`."""
        return None if self._capacity is None else self._capacity.admit(environ)
