"""Numbered streams that survive a change of server, for Python: what mina-stream.js is for pages.

    with StreamClient("http://localhost:8000", event="audio:chunk", namespace="/live") as client:
        ack = client.send({"data": b"..."}).result(10)
        client.flush(30)

Runs over a stock `socketio.Client`, in threads or patched by gevent. Meant for tests and load: a
host can check with it, on its own handlers, that nothing is lost while colours change.
"""

from __future__ import annotations

import random
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition
from types import TracebackType
from typing import Any, Self

import socketio

ACK_SECONDS = 2.0
WINDOW = 8
# Without an answer the patience doubles, up to this: a slow server is not buried in repeats.
LONGEST_ACK_SECONDS = 60.0
# The server waits up to 1 s for a hand-off's acknowledgement.
HANDOFF_WAIT_SECONDS = 0.8
# A hand-off that no disconnect follows was cancelled.
HANDOFF_LASTS_SECONDS = 10.0
CONNECT_SECONDS = 5
# The stock JavaScript client's pause before it comes back, jitter and all.
_RECONNECT_SECONDS = (0.5, 1.5)


class Rejected(Exception):
    """The server answered a chunk with an error; it is not sent again."""


@dataclass
class _Chunk:
    message: dict[str, Any]
    answer: Future[Any] = field(default_factory=Future)


class StreamClient:
    """One stream over one connection; comes back by itself, whoever ended the connection.

    Args:
        url: of the load balancer, or of a server.
        event: carries a chunk, `{**payload, "stream", "seq"}`, and is acknowledged.
        stream: default: a new id.
        window: chunks under way at a time.
        ack_seconds: until what was not answered is sent again; doubles each time.
    """

    def __init__(
        self,
        url: str,
        *,
        event: str,
        namespace: str = "/",
        stream: str | None = None,
        auth: Mapping[str, Any] | None = None,
        transports: Sequence[str] | None = None,
        window: int = WINDOW,
        ack_seconds: float = ACK_SECONDS,
    ) -> None:
        self.stream = stream or str(uuid.uuid4())
        self.sent = self.acknowledged = self.rejected = self.connects = self.handoffs = 0
        self.errors: Counter[str] = Counter()
        """What went wrong on the way, and was tried again: name -> how often."""
        # A python client takes a server's close for the end, as the JavaScript client does not.
        self.socket = socketio.Client(reconnection=False)
        self._url, self._event, self._namespace = url, event, namespace
        self._options = {
            "auth": None if auth is None else dict(auth),
            "transports": None if transports is None else list(transports),
        }
        self._window, self._ack_seconds, self._patience = window, ack_seconds, ack_seconds
        self._queue: list[_Chunk] = []
        self._under_way = 0
        self._heard_at = 0.0
        self._paused_until = 0.0
        self._over = False
        self._changed = Condition()
        self.socket.on("connect", self._resume, namespace=namespace)
        self.socket.on("disconnect", self._rewind, namespace=namespace)
        self.socket.on("session:handoff", self._hand_off, namespace=namespace)

    @property
    def waiting(self) -> int:
        """Chunks that are not answered yet."""
        return len(self._queue)

    def start(self) -> Self:
        """Connect, and send what is queued, in a task of its own."""
        self._task = self.socket.start_background_task(self._run)
        return self

    def send(self, payload: Mapping[str, Any] | None = None) -> Future[Any]:
        """Queue a chunk; the result is its acknowledgement, or raises `Rejected`."""
        with self._changed:
            self.sent += 1
            chunk = _Chunk({**(payload or {}), "stream": self.stream, "seq": self.sent})
            self._queue.append(chunk)
            self._changed.notify_all()
        return chunk.answer

    def flush(self, timeout: float) -> bool:
        """Wait until every chunk so far was answered; False if that took too long."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue, timeout)

    def close(self) -> None:
        """Leave; what waits is not sent."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._task.join()
        # Not `socket.disconnect()`: over polling its tasks wait for each other for half a minute.
        self.socket.eio.disconnect(abort=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self) -> None:
        while not self._over:
            if not self.socket.connected:
                self._connect()
                continue
            chunk = self._next()
            if chunk is not None:
                self._emit(chunk)

    def _connect(self) -> None:
        if self.connects or self.errors:
            with self._changed:
                pause = random.uniform(*_RECONNECT_SECONDS)  # noqa: S311 - spreads reconnects
                self._changed.wait_for(lambda: self._over, pause)
        if self._over:
            return
        try:
            self.socket.connect(
                self._url,
                namespaces=[self._namespace],
                wait_timeout=CONNECT_SECONDS,
                **self._options,
            )
        except (socketio.exceptions.SocketIOError, OSError, ValueError) as exc:
            self.errors[f"connect: {type(exc).__name__}"] += 1

    def _next(self) -> _Chunk | None:
        """The next chunk to send; None after a wait in which something may have changed."""
        with self._changed:
            now = time.monotonic()
            if now < self._paused_until or self._under_way >= min(self._window, len(self._queue)):
                late_at = self._heard_at + self._patience if self._under_way else now + 1
                self._changed.wait(max(0.01, min(late_at - now, 1)))
                self._give_up_waiting(time.monotonic())
                return None
            if not self._under_way:
                self._heard_at = now
            self._under_way += 1
            return self._queue[self._under_way - 1]

    def _give_up_waiting(self, now: float) -> None:
        if self._under_way and now - self._heard_at > self._patience:
            self._patience = min(self._patience * 2, LONGEST_ACK_SECONDS)
            self._under_way = 0

    def _emit(self, chunk: _Chunk) -> None:
        def answered(ack: Any = None) -> None:
            self._done(chunk, ack)

        try:
            self.socket.emit(self._event, chunk.message, self._namespace, callback=answered)
        except (socketio.exceptions.SocketIOError, OSError) as exc:
            self.errors[type(exc).__name__] += 1
            self._rewind()

    def _done(self, chunk: _Chunk, ack: Any) -> None:
        """A late answer counts as well, whichever time the chunk was sent."""
        with self._changed:
            if chunk not in self._queue:
                return
            place = self._queue.index(chunk)
            del self._queue[place]
            self._under_way -= place < self._under_way
            self._patience, self._heard_at = self._ack_seconds, time.monotonic()
            error = ack.get("error") if isinstance(ack, Mapping) else None
            self.acknowledged += error is None
            self.rejected += error is not None
            self._changed.notify_all()
        if error is None:
            chunk.answer.set_result(ack)
        else:
            chunk.answer.set_exception(Rejected(str(error)))

    def _rewind(self, *_reason: Any) -> None:
        """What is not acknowledged counts as not sent."""
        with self._changed:
            self._under_way = 0
            self._changed.notify_all()

    def _resume(self) -> None:
        self.connects += 1
        self._paused_until = 0.0
        self._rewind()

    def _hand_off(self, *_message: Any) -> None:
        """Stop sending; returning acknowledges, once what is under way was answered."""
        with self._changed:
            self.handoffs += 1
            self._paused_until = time.monotonic() + HANDOFF_LASTS_SECONDS
            self._changed.wait_for(lambda: not self._under_way, HANDOFF_WAIT_SECONDS)
