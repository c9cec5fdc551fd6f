"""Live audio over Socket.IO, in the namespace `/live`.

    connect       auth {"token": TEST_TOKEN}, or the login cookie; refused without either
    audio:chunk   {"stream": text, "seq": 1.., "data": bytes, "session_id"?: int}
                  acknowledged with {"seq", "fresh", "environment"} once it is safe, or with
                  {"seq", "error"} if it never will be
    transcript    to the client: {"stream", "first_seq", "last_seq", "environment"}; when a client
                  goes on at the other colour, what this one has of a segment is sent there

A chunk may come again, after a broken connection or from a client that saw no acknowledgement:
`fresh` is then false, and nothing is done twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import request, session
from flask_login import current_user
from flask_socketio import ConnectionRefusedError as Refused
from sqlalchemy import select

from mina_ops.demo.auth import SMOKE_USER, holds_test_token
from mina_ops.demo.models import MeetingSession, Segment, User, db
from mina_ops.demo.parts import Parts, parts

NAMESPACE = "/live"
CHUNKS_PER_SEGMENT = 20
LARGEST_CHUNK_BYTES = 64 * 1024

_STREAM = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Chunk:
    """A numbered piece of audio of one stream."""

    stream: str
    seq: int
    data: bytes
    session_id: int | None


@dataclass
class Buffer:
    """Audio that waits in this process to become a segment."""

    sid: str
    user_id: int
    session_id: int | None
    first_seq: int = 0
    last_seq: int = 0
    size_bytes: int = 0

    def add(self, chunk: Chunk) -> None:
        """Append a chunk."""
        self.first_seq = self.first_seq or chunk.seq
        self.last_seq = chunk.seq
        self.size_bytes += len(chunk.data)

    @property
    def is_full(self) -> bool:
        """True when there is enough audio for a segment."""
        return self.last_seq - self.first_seq + 1 >= CHUNKS_PER_SEGMENT


def parse_chunk(message: object) -> Chunk:
    """The chunk in a client's message.

    Raises:
        ValueError: it is none; the message names the field.
    """
    if not isinstance(message, Mapping):
        raise ValueError("a chunk is an object")
    stream, seq, data = message.get("stream"), message.get("seq"), message.get("data", b"")
    session_id = message.get("session_id")
    if not isinstance(stream, str) or not _STREAM.fullmatch(stream):
        raise ValueError("stream: up to 64 letters, digits, '-' and '_'")
    if type(seq) is not int or seq < 1:
        raise ValueError("seq: a number from 1 on")
    if not isinstance(data, bytes) or len(data) > LARGEST_CHUNK_BYTES:
        raise ValueError(f"data: up to {LARGEST_CHUNK_BYTES} bytes")
    if session_id is not None and type(session_id) is not int:
        raise ValueError("session_id: a number")
    return Chunk(stream, seq, data, session_id)


class AudioReceiver:
    """Takes the chunks of one process's clients and turns them into segments."""

    def __init__(self, environment: str) -> None:
        self._environment = environment
        self._buffers: dict[str, Buffer] = {}

    def register(self, demo: Parts) -> None:
        """Serve the namespace `/live` on the app's Socket.IO server."""
        demo.socketio.on_event("connect", self.connect, namespace=NAMESPACE)
        demo.socketio.on_event("audio:chunk", self.receive, namespace=NAMESPACE)
        demo.socketio.on_event("disconnect", self.disconnect, namespace=NAMESPACE)

    def connect(self, auth: object = None) -> None:
        """Let in whoever is logged in or brings the test token."""
        token = auth.get("token") if isinstance(auth, Mapping) else None
        if current_user.is_authenticated:
            session["live_user_id"] = current_user.id
        elif isinstance(token, str) and holds_test_token(token):
            query = select(User.id).filter_by(username=SMOKE_USER)
            session["live_user_id"] = db.session.scalar(query)
        else:
            raise Refused("not_authenticated")

    def receive(self, message: object) -> dict[str, Any]:
        """Handle one chunk; the result is its acknowledgement."""
        try:
            chunk = parse_chunk(message)
        except ValueError as exc:
            seq = message.get("seq") if isinstance(message, Mapping) else None
            return {"seq": seq, "error": str(exc)}
        demo = parts()
        with (
            demo.ops.hold("audio-buffer", chunk.stream, flush=lambda: self._flush(chunk.stream)),
            demo.ops.streams.receive(
                chunk.stream, chunk.seq, stored=lambda: demo.ledger.last(chunk.stream)
            ) as fresh,
        ):
            if fresh:
                demo.ledger.record(chunk.stream, chunk.seq)
                self._buffer(chunk)
        return {"seq": chunk.seq, "fresh": fresh, "environment": self._environment}

    def disconnect(self, *_reason: str) -> None:
        """Keep what the client sent before it left; it may go on at the other colour."""
        mine = [s for s, buffer in self._buffers.items() if buffer.sid == _sid()]
        for stream in mine:
            self._flush(stream)

    def _buffer(self, chunk: Chunk) -> None:
        buffer = self._buffers.get(chunk.stream)
        if buffer is None:
            buffer = Buffer(_sid(), session["live_user_id"], chunk.session_id)
            self._buffers[chunk.stream] = buffer
        buffer.add(chunk)
        if buffer.is_full:
            self._flush(chunk.stream)

    def _flush(self, stream: str) -> None:
        """End a segment: keep it, and tell the client, wherever it is connected by now."""
        buffer = self._buffers.pop(stream, None)
        if buffer is None:
            return
        self._keep(stream, buffer)
        told = {"stream": stream, "first_seq": buffer.first_seq, "last_seq": buffer.last_seq}
        told["environment"] = self._environment
        parts().socketio.emit("transcript", told, to=buffer.sid, namespace=NAMESPACE)

    def _keep(self, stream: str, buffer: Buffer) -> None:
        if buffer.session_id is None:
            return
        session_row = db.session.get(MeetingSession, buffer.session_id)
        if session_row is None or session_row.user_id != buffer.user_id:
            return
        text = f"[audio {buffer.first_seq}-{buffer.last_seq}, {buffer.size_bytes} bytes]"
        db.session.add(Segment(session_id=session_row.id, text=text, speaker=stream[:80]))
        db.session.commit()


def _sid() -> str:
    sid: str = request.sid  # type: ignore[attr-defined]
    return sid
