"""Events that a caller emits while its client is between two connections: kept, and sent in order.

The server was told that nothing more comes over the present connection, and the next one is not
there yet. What is sent then would be lost, without an error.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from socketio.exceptions import SocketIOError

# In each namespace; at ten events a second they last for more than a minute and a half.
MOST_HELD = 1000


class BacklogFull(SocketIOError):  # type: ignore[misc]
    """`MOST_HELD` events wait for the next connection already; this one was not sent."""


@dataclass(frozen=True, eq=False)
class Emitted:
    """One `emit`, as its caller asked for it."""

    name: str
    data: Any
    namespace: str
    callback: Callable[..., Any] | None = None


class Held:
    """The events that wait, namespace by namespace. Not thread safe."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Emitted]] = {}

    def __len__(self) -> int:
        return sum(len(events) for events in self._waiting.values())

    def begin(self, namespaces: Iterable[str]) -> None:
        """Hold what is emitted in these namespaces from now on; idempotent."""
        for namespace in namespaces:
            self._waiting.setdefault(namespace, deque())

    def end(self, namespace: str) -> None:
        """Hold nothing more in this namespace."""
        self._waiting.pop(namespace, None)

    def holds(self, namespace: str) -> bool:
        """Whether events of this namespace are held now."""
        return namespace in self._waiting

    def add(self, event: Emitted) -> None:
        """Keep an event of a namespace that is held.

        Raises:
            BacklogFull: `MOST_HELD` events wait in its namespace; this one is not kept.
        """
        events = self._waiting[event.namespace]
        if len(events) >= MOST_HELD:
            raise BacklogFull(f"{MOST_HELD} events wait for the next connection; try again later.")
        events.append(event)

    def withdraw(self, event: Emitted) -> None:
        """Forget an event if it has not been sent."""
        events = self._waiting.get(event.namespace, ())
        if event in events:
            self._waiting[event.namespace].remove(event)

    def first(self, namespace: str) -> Emitted | None:
        """The event of this namespace that has waited longest; it stays until `sent`."""
        events = self._waiting.get(namespace)
        return events[0] if events else None

    def sent(self, event: Emitted) -> None:
        """It is on its way."""
        self._waiting[event.namespace].popleft()
