"""Sends the events of recoverable namespaces: numbers them, adds marks, and logs them."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from threading import RLock
from typing import Any

from mina_ops.app import socketio_adapter as adapter
from mina_ops.app.clock import Clock
from mina_ops.app.recovery.clients import Client
from mina_ops.app.recovery.log import Log
from mina_ops.app.recovery.model import FOREIGN, Entry, EventId, Heard, Mark, mark_text

# Events of ours that concern this connection only, so they are never sent again elsewhere.
_OWN = {"session:handoff", "server:draining", "pong"}
_FIELD = "mina_ops"
# The last events that this process sent are kept in memory, as they may not be in the log yet.
RECENT_EVENTS = 5000
RECENT_SECONDS = 10.0
MOST_EMITTERS = 64


class Sending:
    """Numbers and sends events, and keeps count of those that this process has sent."""

    def __init__(self, namespaces: Iterable[str], log: Log, clock: Clock) -> None:
        self.namespaces = frozenset(namespaces)
        self.clients: dict[tuple[str, str], Client] = {}
        """(namespace, sid) -> client, for clients that get marks."""
        self.lock = RLock()
        """Held while an event is numbered and queued, so that all clients get the same order."""
        self.server: Any = None
        self._log = log
        self._clock = clock
        self._heard: dict[str, Heard] = {}
        self._recent: deque[tuple[str, Entry]] = deque(maxlen=RECENT_EVENTS)
        self._foreign: Counter[str] = Counter()
        self._foreign_second = 0
        self._emitter = ("", 0)
        self._number = 0
        self._message: ContextVar[EventId | None] = ContextVar("mina_ops_message", default=None)

    def number(self, message: dict[str, Any]) -> None:
        """Number a message before it goes to the message queue; idempotent."""
        if _FIELD not in message and (message.get("namespace") or "/") in self.namespaces:
            message[_FIELD] = str(self._next())

    @contextmanager
    def heard(self, message: Mapping[str, Any]) -> Iterator[None]:
        """Send events within this block under the number of a message from the queue."""
        token = self._message.set(self._event_of(message))
        try:
            yield
        finally:
            self._message.reset(token)

    def sends(
        self, event: str, data: Any, namespace: str, room: Any, skip: Any, callback: Any
    ) -> bool:
        """Send an event to this process's clients; False: python-socketio shall send it itself."""
        if namespace not in self.namespaces or event in _OWN:
            return False
        manager = self.server.manager
        if callback is not None and any(True for _ in _participants(manager, namespace, room)):
            # The callback can only be called here, so such an event is never sent again elsewhere.
            return False
        skipped = tuple(skip) if isinstance(skip, list) else (skip,) if skip else ()
        arguments = list(data) if isinstance(data, tuple) else [] if data is None else [data]
        with self.lock:
            at = self._clock.now()
            event_id = self._message.get() or self._next()
            self._note(event_id, at)
            mark = mark_text(event_id, self._heard, self._log.epoch, at)
            wire = adapter.encode_event(self.server, namespace, [event, *arguments, mark])
            is_ours = event_id.emitter == self._emitter[0] or event_id.emitter.startswith(FOREIGN)
            for name in room if isinstance(room, list | tuple) else [room]:
                entry = Entry(event_id, at, "" if name is None else str(name), skipped, wire)
                self._recent.append((namespace, entry))
                if is_ours:
                    self._log.add(namespace, entry)
            self._send(namespace, room, skipped, str(event_id), wire, [event, *arguments])
        return True

    def recent(self, namespace: str, rooms: Iterable[str]) -> list[Entry]:
        """The events that this process sent to these rooms in the last 10 s, in order."""
        wanted, since = set(rooms), self._clock.now() - RECENT_SECONDS
        return [
            entry
            for name, entry in list(self._recent)
            if name == namespace and entry.room in wanted and entry.at >= since
        ]

    def replay(self, client: Client, mark: Mark, entries: Iterable[Entry]) -> None:
        """Send what a client missed, then what was held back meanwhile; the caller holds `lock`."""
        heard = {name: replace(one, beyond=set(one.beyond)) for name, one in mark.heard.items()}
        for entry in entries:
            client.replayed.add(str(entry.event))
            at = max(mark.at, entry.at)
            heard.setdefault(entry.event.emitter, Heard()).note(entry.event.number, at)
            for one in heard.values():
                one.at = at
            data = adapter.decode_event(self.server, entry.packet)
            # A mark for what the client has by then, in case the connection breaks in the middle.
            data[-1] = mark_text(entry.event, heard, self._log.epoch, at)
            wire = adapter.encode_event(self.server, client.namespace, data)
            adapter.send_packets(self.server, client.eio_sid, adapter.as_packets(wire))
        held, client.held = client.held or [], None
        for event_id, packets in held:
            if event_id not in client.replayed:
                adapter.send_packets(self.server, client.eio_sid, packets)

    def _send(
        self,
        namespace: str,
        room: Any,
        skip: tuple[str, ...],
        event_id: str,
        wire: tuple[str | bytes, ...],
        plain: list[Any],
    ) -> None:
        marked, unmarked = adapter.as_packets(wire), None
        for sid, eio_sid in _participants(self.server.manager, namespace, room):
            client = self.clients.get((namespace, sid))
            if sid in skip:
                continue
            if client is None:
                unmarked = unmarked or adapter.as_packets(
                    adapter.encode_event(self.server, namespace, plain)
                )
                adapter.send_packets(self.server, eio_sid, unmarked)
            elif client.held is not None:
                client.held.append((event_id, marked))
            elif event_id not in client.replayed:
                adapter.send_packets(self.server, eio_sid, marked)

    def _next(self) -> EventId:
        with self.lock:
            if self._emitter[1] != os.getpid():
                # A forked child must not go on with its parent's name and numbers.
                self._emitter, self._number = (secrets.token_hex(3) + "e", os.getpid()), 0
            self._number += 1
            return EventId(self._emitter[0], self._number)

    def _note(self, event_id: EventId, at: float) -> None:
        self._heard.setdefault(event_id.emitter, Heard()).note(event_id.number, at)
        if len(self._heard) > MOST_EMITTERS:
            del self._heard[min(self._heard, key=lambda name: self._heard[name].at)]

    def _event_of(self, message: Mapping[str, Any]) -> EventId | None:
        """The id of a message from the queue, or one that all processes compute alike for it."""
        if (message.get("namespace") or "/") not in self.namespaces:
            return None
        emitter, _, number = str(message.get(_FIELD, "")).rpartition(".")
        if emitter and number.isdigit():
            return EventId(emitter, int(number))
        text = json.dumps(dict(message), sort_keys=True, default=repr).encode()
        name = FOREIGN + hashlib.blake2b(text, digest_size=6).hexdigest()
        second = int(self._clock.now())
        with self.lock:
            if self._foreign_second != second:
                self._foreign_second = second
                self._foreign.clear()
            self._foreign[name] += 1
            # The second, and how often the same message came within it.
            return EventId(name, second * 1000 + self._foreign[name])


def _participants(manager: Any, namespace: str, room: Any) -> Iterable[tuple[str, str]]:
    if namespace not in manager.rooms:
        return []
    found: Iterable[tuple[str, str]] = manager.get_participants(namespace, room)
    return found
