"""What `outgoing` does, for asyncio.

There is no lock: the stock client's queue is unbounded, so an `emit` never gives way to another
task, and neither does anything here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from socketio import exceptions

from mina_ops.app.clients.held import Emitted, Held
from mina_ops.app.clients.received import answer_of


class AsyncOutgoing:
    """What one `AsyncMovingClient` sends."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        """The stock client in use; set it to send over another one."""
        self._held = Held()
        self._greeting: set[asyncio.Task[Any] | None] = set()

    @property
    def held(self) -> int:
        """How many events wait."""
        return len(self._held)

    async def send(self, event: Emitted, *, may_wait: bool) -> None:
        """Send an event, or hold it; see `Outgoing.send`."""
        is_greeting = asyncio.current_task() in self._greeting
        if not self._held.holds(event.namespace) or is_greeting:
            try:
                await self._emit(event)
            except exceptions.BadNamespaceError:
                if not may_wait:
                    raise
            else:
                return
            self._held.begin([event.namespace])
        self._held.add(event)

    async def call(self, event: Emitted, timeout: float, *, may_wait: bool) -> Any:
        """Send or hold an event, and wait for its answer; see `Outgoing.call`."""
        answered = asyncio.get_running_loop().create_future()

        def answer(*arguments: Any) -> None:
            if not answered.done():
                answered.set_result(arguments)

        event = replace(event, callback=answer)
        await self.send(event, may_wait=may_wait)
        try:
            return answer_of(await asyncio.wait_for(answered, timeout))
        except TimeoutError:
            raise exceptions.TimeoutError from None
        finally:
            self._held.withdraw(event)

    def hold(self, namespaces: Sequence[str]) -> None:
        """Hold what is sent to these namespaces from now on."""
        self._held.begin(namespaces)

    @asynccontextmanager
    async def greeting(self, namespace: str) -> AsyncIterator[None]:
        """What this task sends in the block goes out at once; afterwards, what is held."""
        me = asyncio.current_task()
        self._greeting.add(me)
        try:
            yield
        finally:
            self._greeting.discard(me)
            await self.release(namespace)

    async def release(self, namespace: str) -> None:
        """Send what is held, once the namespace is connected; see `Outgoing.release`."""
        while self.socket.get_sid(namespace) is not None:
            event = self._held.first(namespace)
            if event is None:
                self._held.end(namespace)
                return
            await self._emit(event)
            self._held.sent(event)

    async def _emit(self, event: Emitted) -> None:
        await self.socket.emit(event.name, event.data, event.namespace, callback=event.callback)
