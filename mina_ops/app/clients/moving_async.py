"""What `moving` does, for asyncio: over stock `socketio.AsyncClient` objects.

client = AsyncMovingClient("https://mina.example", namespaces=["/live"])
client.on("transcript", show, namespace="/live")
await client.connect()
await client.emit("hello", {"name": "Ada"}, namespace="/live")
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import socketio

from mina_ops.app.clients.handoff import (
    HANDOFF,
    LET_GO_SECONDS,
    MOVE_SECONDS,
    MOVING,
    RETRY_SECONDS,
)
from mina_ops.app.clients.held import Emitted
from mina_ops.app.clients.outgoing_async import AsyncOutgoing
from mina_ops.app.clients.received import Received, auth_with
from mina_ops.app.engineio_payload import read_long_payloads

_log = logging.getLogger(__name__)

Handler = Callable[..., Any]


class AsyncMovingClient:
    """One conversation, over one `socketio.AsyncClient` after the other, in one event loop.

    Args:
        url: of the load balancer, or of a server.
        namespaces: all that shall be connected.
        auth: see `MovingClient`.
        transports: as for `socketio.AsyncClient.connect`.
    """

    def __init__(
        self,
        url: str,
        *,
        namespaces: Sequence[str] = ("/",),
        auth: Mapping[str, Any] | None = None,
        transports: Sequence[str] | None = None,
    ) -> None:
        read_long_payloads()
        self.moves = 0
        self._url, self._namespaces = url, list(namespaces)
        self._auth, self._transports = auth, transports
        self._handlers: list[tuple[str, Handler, str]] = []
        self._received = Received()
        self._move_under_way: asyncio.Future[None] | None = None
        self._over = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._outgoing = AsyncOutgoing(self._new())

    @property
    def socket(self) -> Any:
        """The stock client in use; another one after a move."""
        return self._outgoing.socket

    @property
    def connected(self) -> bool:
        """Whether the connection in use is up."""
        return bool(self.socket.connected)

    @property
    def held(self) -> int:
        """Events that wait for the next connection."""
        return self._outgoing.held

    @property
    def is_moving(self) -> bool:
        """Whether it connects elsewhere now."""
        return self._move_under_way is not None

    def on(self, event: str, handler: Handler, namespace: str = "/") -> None:
        """Call a handler, a function or a coroutine function; see `MovingClient.on`."""
        self._handlers.append((event, handler, namespace))
        self._attach(self.socket, event, handler, namespace)

    async def connect(self, *, wait_timeout: float = 5) -> None:
        """Connect; raises `socketio.exceptions.ConnectionError`, as stock clients do."""
        await self._connect(self.socket, wait_timeout)

    async def emit(
        self, event: str, data: Any = None, namespace: str = "/", callback: Handler | None = None
    ) -> None:
        """Send an event now or over the next connection; raises as `MovingClient.emit` does."""
        emitted = Emitted(event, data, namespace, callback)
        await self._outgoing.send(emitted, may_wait=self.is_moving)

    async def call(
        self, event: str, data: Any = None, namespace: str = "/", timeout: float = 60
    ) -> Any:
        """Send an event and wait for its answer; promises and raises as `MovingClient.call`."""
        emitted = Emitted(event, data, namespace)
        return await self._outgoing.call(emitted, timeout, may_wait=self.is_moving)

    async def disconnect(self) -> None:
        """Leave for good; what is held is not sent, and a warning in the log says how much."""
        self._over = True
        if self.held:
            _log.warning("%d events that waited for a connection are not sent.", self.held)
        await _end(self.socket)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _new(self) -> Any:
        socket = socketio.AsyncClient()
        for namespace in self._namespaces:
            self._watch(socket, namespace)
        for event, handler, namespace in self._handlers:
            self._attach(socket, event, handler, namespace)
        return socket

    async def _connect(self, socket: Any, wait_timeout: float) -> None:
        await socket.connect(
            self._url,
            # Asked for anew at each reconnection.
            auth=lambda: auth_with(self._auth, self._received.marks()),
            transports=None if self._transports is None else list(self._transports),
            namespaces=self._namespaces,
            wait_timeout=wait_timeout,
        )

    def _attach(self, socket: Any, event: str, handler: Handler, namespace: str) -> None:
        if event in (HANDOFF, "connect"):
            # python-socketio has one handler for an event; `_watch` has one that calls them all.
            return

        async def called(*arguments: Any) -> Any:
            if event == "disconnect" and socket is not self.socket:
                return None
            fresh = self._received.take(namespace, arguments)
            return None if fresh is None else await _result(handler, *fresh)

        socket.on(event, called, namespace=namespace)

    def _watch(self, socket: Any, namespace: str) -> None:
        async def handed_off(message: Any = None, *_rest: Any) -> None:
            if socket is not self.socket:
                return
            self._received.handed_off(namespace, message)
            try:
                for handler in self._of(HANDOFF, namespace):
                    await _result(handler, message)
            finally:
                await self._move(namespace)

        async def connected() -> None:
            if socket is self.socket:
                await self._opened(namespace)

        socket.on(HANDOFF, handed_off, namespace=namespace)
        socket.on("connect", connected, namespace=namespace)

    def _of(self, event: str, namespace: str) -> list[Handler]:
        return [h for name, h, where in self._handlers if (name, where) == (event, namespace)]

    async def _opened(self, namespace: str) -> None:
        """The connection in use has this namespace: greet the server, then send what is held."""
        async with self._outgoing.greeting(namespace):
            for handler in self._of("connect", namespace):
                try:
                    await _result(handler)
                except Exception:
                    # The others are called, and what is held is sent, all the same.
                    _log.exception("A connect handler of %s failed.", namespace)

    async def _move(self, namespace: str) -> None:
        """Move once for all namespaces; returning acknowledges the hand-off."""
        if self._move_under_way is not None:
            await asyncio.wait([self._move_under_way], timeout=MOVE_SECONDS)
            return
        self._move_under_way = asyncio.get_running_loop().create_future()
        try:
            await self._move_all(self.socket, namespace)
        finally:
            self._move_under_way.set_result(None)
            self._move_under_way = None

    async def _move_all(self, old: Any, namespace: str) -> None:
        sid, following = old.sid, None
        try:
            await old.emit(MOVING, namespace=namespace)
            following = await self._following()
        except Exception as exc:
            # What is emitted must be held all the same.
            _log.debug("No move: %r", exc)
        # The server is about to be told that nothing more comes over the old connection.
        self._outgoing.hold(self._namespaces)
        if following is None:
            if old.sid not in (None, sid):
                # It broke and came back while another one was tried: that `connect` is over.
                for each in self._namespaces:
                    await self._outgoing.release(each)
            return
        # It must not come back by itself once its server has closed it.
        old.reconnection = False
        self._outgoing.socket = following
        self.moves += 1
        self._start(_see_off(old))
        for each in self._namespaces:
            await self._opened(each)
        if self._over:
            # Somebody left meanwhile, and knew the old connection only.
            await _end(following)

    async def _following(self) -> Any | None:
        """A client that is connected elsewhere; None if nobody answered in time."""
        following = self._new()
        try:
            async with asyncio.timeout(MOVE_SECONDS):
                while not self._over:
                    try:
                        await self._connect(following, MOVE_SECONDS)
                    except Exception as exc:
                        # Whatever it is, the next try may succeed; a refusal over polling can end
                        # in a RuntimeError.
                        _log.debug("The other server does not take us yet: %r", exc)
                        await asyncio.sleep(RETRY_SECONDS)
                    else:
                        return following
        except TimeoutError:
            pass
        await _end(following)
        return None

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _see_off(old: Any) -> None:
    """Wait until the server ends the old connection, or for 15 s; then close it here."""
    try:
        async with asyncio.timeout(LET_GO_SECONDS):
            while old.connected:
                await asyncio.sleep(0.05)
    except TimeoutError:
        pass
    finally:
        await _end(old)


async def _end(socket: Any) -> None:
    """End a client for good; see `Links.end`."""
    socket.reconnection = False
    if not socket.connected:
        socket.reconnection_attempts = 1
        if hasattr(socket, "shutdown"):
            await socket.shutdown()
    await socket.eio.disconnect(abort=True)
    # With python-engineio 4.9 it can be left open.
    http = socket.eio.http
    if http is not None and not http.closed:
        await http.close()


async def _result(handler: Handler, *arguments: Any) -> Any:
    result = handler(*arguments)
    return await result if inspect.isawaitable(result) else result
