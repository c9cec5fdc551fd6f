"""Events on their way to whichever stock client is in use, or held until the next one is.

Between the acknowledgement of a hand-off and the next connection an event would be lost. Each
event goes out under one lock, which is also taken to begin the holding: so what still goes over
the old connection goes before the acknowledgement.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import Event, RLock, get_ident
from typing import Any

from socketio import exceptions

from mina_ops.app.clients.held import Emitted, Held
from mina_ops.app.clients.received import answer_of


class Outgoing:
    """What one `MovingClient` sends. Thread safe."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        """The stock client in use."""
        self._held = Held()
        self._lock = RLock()
        self._greeting: set[int] = set()

    @property
    def held(self) -> int:
        """How many events wait."""
        with self._lock:
            return len(self._held)

    def use(self, socket: Any) -> None:
        """Send over another stock client from now on."""
        with self._lock:
            self.socket = socket

    def emit(self, event: Emitted) -> None:
        """Send an event now, or raise as stock clients do."""
        with self._lock:
            self.socket.emit(event.name, event.data, event.namespace, callback=event.callback)

    def send(self, event: Emitted, *, may_wait: bool) -> None:
        """Send an event, or hold it.

        Args:
            may_wait: hold it too if its namespace is not connected: a move is under way, and the
                old connection broke before the next one was there.
        """
        with self._lock:
            if not self._held.holds(event.namespace) or get_ident() in self._greeting:
                try:
                    self.emit(event)
                except exceptions.BadNamespaceError:
                    if not may_wait:
                        raise
                else:
                    return
                self._held.begin([event.namespace])
            self._held.add(event)

    def call(self, event: Emitted, timeout: float, *, may_wait: bool) -> Any:
        """Send or hold an event, and wait for its answer.

        Raises:
            socketio.exceptions.TimeoutError: none came in `timeout` seconds; an event that is still
                held then is not sent any more.
        """
        answered, answers = Event(), list[tuple[Any, ...]]()

        def answer(*arguments: Any) -> None:
            answers.append(arguments)
            answered.set()

        event = replace(event, callback=answer)
        self.send(event, may_wait=may_wait)
        if not answered.wait(timeout):
            with self._lock:
                self._held.withdraw(event)
            raise exceptions.TimeoutError
        return answer_of(answers[0])

    def hold(self, namespaces: Sequence[str]) -> None:
        """Hold what is sent to these namespaces from now on."""
        with self._lock:
            self._held.begin(namespaces)

    @contextmanager
    def greeting(self, namespace: str) -> Iterator[None]:
        """What this thread sends in the block goes out at once; afterwards, what is held."""
        me = get_ident()
        self._greeting.add(me)
        try:
            yield
        finally:
            self._greeting.discard(me)
            self.release(namespace)

    def release(self, namespace: str) -> None:
        """Send what is held, and hold nothing more, once the namespace is connected.

        Does nothing while it is not: its next `connect` goes on.
        """
        with self._lock:
            while self.socket.get_sid(namespace) is not None:
                event = self._held.first(namespace)
                if event is None:
                    self._held.end(namespace)
                    return
                self.emit(event)
                self._held.sent(event)
