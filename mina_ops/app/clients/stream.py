"""Numbered streams that survive a change of server, for Python: what mina-stream.js is for pages.

    with StreamClient("http://localhost:8000", event="audio:chunk", namespace="/live") as client:
        ack = client.send({"data": b"..."}).result(10)
        client.flush(30)

Runs over stock `socketio.Client` objects (see `moving`), in threads or patched by gevent.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

import socketio

from mina_ops.app.clients.moving import MovingClient
from mina_ops.app.clients.pace import ACK_SECONDS, WINDOW, Pace

# A hand-off that no disconnect follows was cancelled.
HANDOFF_LASTS_SECONDS = 10.0
CONNECT_SECONDS = 5
# Between two tries of the first connection; later ones are the stock client's.
_RETRY_SECONDS = 0.5


class Rejected(Exception):
    """The server answered a chunk with an error; it is not sent again."""


@dataclass
class _Chunk:
    message: dict[str, Any]
    answer: Future[Any] = field(default_factory=Future)
    tries: int = 0
    sent_at: float = 0.0


class StreamOptions(TypedDict, total=False):
    """What a `StreamClient` may be given beside where it sends."""

    auth: Mapping[str, Any] | None
    """As stock clients send it."""
    transports: Sequence[str] | None
    """As for `socketio.Client.connect`."""
    window: int
    """Chunks under way at a time (8); fewer while the server is silent."""
    ack_seconds: float
    """Silence until what was not answered is sent again (2); twice the usual time to an answer if
    that is longer; doubles each time."""


class StreamClient:
    """One stream over one connection; comes back by itself, whoever ended the connection.

    Args:
        url: of the load balancer, or of a server.
        event: carries a chunk, `{**payload, "stream", "seq"}`, and is acknowledged.
        stream: default: a new id.
        options: see `StreamOptions`.
    """

    def __init__(
        self,
        url: str,
        *,
        event: str,
        namespace: str = "/",
        stream: str | None = None,
        **options: Unpack[StreamOptions],
    ) -> None:
        self.stream = stream or str(uuid.uuid4())
        self.sent = self.acknowledged = self.rejected = self.connects = self.handoffs = 0
        self.errors: Counter[str] = Counter()
        """What went wrong on the way, and was tried again: name -> how often."""
        auth, transports = options.get("auth"), options.get("transports")
        self._line = MovingClient(
            url, namespaces=[namespace], auth=auth, transports=transports, passenger=self
        )
        self._event, self._namespace = event, namespace
        window = options.get("window", WINDOW)
        self._pace = Pace(window, options.get("ack_seconds", ACK_SECONDS))
        self._queue: list[_Chunk] = []
        self._under_way = 0
        self._heard_at = 0.0
        self._paused_until = 0.0
        self._over = False
        self._base, self._run_id = 0, f"{uuid.uuid4()}@0"
        self._changed = Condition()
        self._line.on("connect", self._connected, namespace)
        self._line.on("disconnect", self._rewind, namespace)

    @property
    def socket(self) -> Any:
        """The stock client in use; another one after a move."""
        return self._line.socket

    @property
    def moves(self) -> int:
        """How often it changed servers without a gap."""
        return self._line.moves

    @property
    def waiting(self) -> int:
        """Chunks that are not answered yet."""
        return len(self._queue)

    def start(self) -> Self:
        """Connect, and send what is queued, in a task of its own."""
        self._task = self.socket.start_background_task(self._send_all)
        return self

    def send(self, payload: Mapping[str, Any] | None = None) -> Future[Any]:
        """Queue a chunk; the result is its acknowledgement, or raises `Rejected`."""
        with self._changed:
            self.sent += 1
            number = {"seq": self._base + self.sent, "run": self._run_id}
            chunk = _Chunk({**(payload or {}), "stream": self.stream, **number})
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
        self._line.disconnect()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _send_all(self) -> None:
        while not self._over:
            if not self.connects and not self.socket.connected:
                self._connect()
                continue
            chunk = self._next()
            if chunk is not None:
                self._emit(chunk)

    def _connect(self) -> None:
        try:
            self._line.connect(wait_timeout=CONNECT_SECONDS)
        except (socketio.exceptions.SocketIOError, OSError, ValueError) as exc:
            self.errors[f"connect: {type(exc).__name__}"] += 1
            with self._changed:
                self._changed.wait_for(lambda: self._over, _RETRY_SECONDS)

    def _next(self) -> _Chunk | None:
        """The next chunk to send; None after a wait in which something may have changed."""
        with self._changed:
            now = time.monotonic()
            is_full = self._under_way >= min(self._pace.allowed, len(self._queue))
            if now < self._paused_until or is_full or not self.socket.connected:
                late_at = self._heard_at + self._pace.patience if self._under_way else now + 1
                if now < self._paused_until:
                    late_at = min(late_at, self._paused_until)
                self._changed.wait(max(0.01, min(late_at - now, 1)))
                self._give_up_waiting(time.monotonic())
                return None
            if not self._under_way:
                self._heard_at = now
            self._under_way += 1
            chunk = self._queue[self._under_way - 1]
            chunk.tries, chunk.sent_at = chunk.tries + 1, now
            return chunk

    def _give_up_waiting(self, now: float) -> None:
        if self._under_way and now - self._heard_at > self._pace.patience:
            self._pace.silent()
            self._under_way = 0

    def _emit(self, chunk: _Chunk) -> None:
        run = self._run_id

        def answered(ack: Any = None) -> None:
            self._done(chunk, ack, run)

        try:
            self._line.emit_now(self._event, chunk.message, self._namespace, callback=answered)
        except (socketio.exceptions.SocketIOError, OSError) as exc:
            self.errors[type(exc).__name__] += 1
            self._rewind()

    def _done(self, chunk: _Chunk, ack: Any, run: str) -> None:
        """A late answer counts as well, whichever time the chunk was sent."""
        with self._changed:
            if chunk not in self._queue:
                return
            if isinstance(ack, Mapping) and ack.get("code") == "stream_taken":
                if run == self._run_id:
                    self._begin_again(int(ack["mark"]), str(ack["error"]))
                return
            if isinstance(ack, Mapping) and ack.get("code") == "out_of_order":
                # The one before it was missing there: all again, in order.
                self._send_again(ack.get("retry_after_ms", 0) / 1000)
                return
            place = self._queue.index(chunk)
            del self._queue[place]
            self._under_way -= place < self._under_way
            self._heard_at = now = time.monotonic()
            self._pace.answered(now - chunk.sent_at if chunk.tries == 1 else None)
            error = ack.get("error") if isinstance(ack, Mapping) else None
            self.acknowledged += error is None
            self.rejected += error is not None
            self._changed.notify_all()
        if error is None:
            chunk.answer.set_result(ack)
        else:
            chunk.answer.set_exception(Rejected(str(error)))

    def _send_again(self, seconds: float) -> None:
        if self._under_way:
            self._under_way = 0
            again_at = time.monotonic() + self._pace.refused(seconds)
            self._paused_until = max(self._paused_until, again_at)
            self._changed.notify_all()

    def _rewind(self, *_reason: Any) -> None:
        """What is not acknowledged counts as not sent."""
        with self._changed:
            self._under_way = 0
            self._changed.notify_all()

    def _begin_again(self, mark: int, error: str) -> None:
        """Others have sent this stream: go on after them, or, if they took it over, say so."""
        if self.acknowledged or self.rejected:
            lost, self._queue = self._queue, []
            self.rejected += len(lost)
            for chunk in lost:
                chunk.answer.set_exception(Rejected(error))
        self._base, self._run_id, self._under_way = mark, f"{uuid.uuid4()}@{mark}", 0
        for place, chunk in enumerate(self._queue, 1):
            chunk.message |= {"seq": mark + place, "run": self._run_id}
        self._changed.notify_all()

    def _connected(self) -> None:
        self.connects += 1
        if not self._line.is_moving:
            self.let_go()

    def settle(self, seconds: float) -> None:
        """Send nothing until the next connection is in use; wait for what is under way."""
        with self._changed:
            self.handoffs += 1
            self._paused_until = time.monotonic() + HANDOFF_LASTS_SECONDS
            self._changed.wait_for(lambda: not self._under_way, seconds)

    def moved(self) -> None:
        """Go on at once, unless the old server still has chunks: two would handle them."""
        if not self._under_way:
            self.let_go()

    def let_go(self) -> None:
        """Send what is not acknowledged over the connection in use."""
        self._paused_until = 0.0
        self._pace.begin_anew()
        self._rewind()
