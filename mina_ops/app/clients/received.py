"""What a client knows of the events that it has had, over all of its connections.

A server that can recover a namespace marks each event there: `~mo1~` and the event's own id, then
`@` and what the client has had so far. The last mark, with the session's private id, is what the
client shows to be brought up to date. During a move an event may come over both connections.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any

MOST_REMEMBERED = 5000
_OFFSET = re.compile(r"~mo1~([^@]+)@")


class Received:
    """The marks of what came, namespace by namespace. Thread safe."""

    def __init__(self) -> None:
        self._shown: dict[str, dict[str, str]] = {}
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    def marks(self) -> dict[str, dict[str, str]]:
        """Namespace -> `pid` and `offset`, of those whose session can be recovered."""
        with self._lock:
            return {name: dict(shown) for name, shown in self._shown.items() if "pid" in shown}

    def handed_off(self, namespace: str, message: Any) -> None:
        """A hand-off names the session's private id, if its namespace can be recovered."""
        if isinstance(message, Mapping) and message.get("pid"):
            with self._lock:
                self._shown.setdefault(namespace, {})["pid"] = str(message["pid"])

    def take(self, namespace: str, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """The arguments without the server's mark; None for an event that was here before."""
        last = arguments[-1] if arguments else None
        found = _OFFSET.match(last) if isinstance(last, str) else None
        if found is None:
            return arguments
        with self._lock:
            if found[1] in self._seen:
                return None
            self._seen[found[1]] = None
            if len(self._seen) > MOST_REMEMBERED:
                self._seen.popitem(last=False)
            self._shown.setdefault(namespace, {})["offset"] = str(last)
        return arguments[:-1]


def auth_with(auth: Mapping[str, Any] | None, marks: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The caller's `auth`; where it asks for recovery, with what recovers the sessions."""
    if auth and auth.get("recovery") and marks:
        return {**auth, "recovery": marks}
    return auth


def answer_of(arguments: tuple[Any, ...]) -> Any:
    """An acknowledgement as the `call` of stock clients gives it: one value, a tuple or None."""
    if not arguments:
        return None
    return arguments[0] if len(arguments) == 1 else arguments
