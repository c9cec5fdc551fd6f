"""What clients are sending at this moment, and of which only a part is here.

A polling client's events come in the body of a POST, and a binary event comes as a text and its
attachments, each by itself. Whoever closes a session waits for what has begun to arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mina_ops.app.engineio_payload import read_long_payloads
from mina_ops.app.socketio_adapter import half_events


@dataclass(eq=False)
class Post:
    """A request of a polling client whose body is being taken in."""

    refused: bool = False
    """Whether something in it came too late: its session had ended."""


class Incoming:
    """What is on its way in from the clients of one `socketio.Server`."""

    def __init__(self, server: Any) -> None:
        self._half_events = half_events(server)
        self._posts: dict[str, list[Post]] = {}
        read_long_payloads()

    @contextmanager
    def post(self, eio_sid: str) -> Iterator[Post]:
        """While the body of a POST is taken in."""
        own = Post()
        posts = self._posts.setdefault(eio_sid, [])
        posts.append(own)
        try:
            yield own
        finally:
            posts.remove(own)
            if not posts:
                self._posts.pop(eio_sid, None)

    def refuse(self, eio_sid: str) -> None:
        """Something of a client came too late; its POST is not answered as if it had been taken."""
        for post in self._posts.get(eio_sid, ()):
            post.refused = True

    def of(self, eio_sid: str) -> list[object]:
        """What has begun to arrive from a client and is not whole yet."""
        half = self._half_events.get(eio_sid)
        return [*self._posts.get(eio_sid, ()), *(() if half is None else (half,))]

    def forget(self, eio_sid: str) -> None:
        """Drop the half of an event whose rest cannot come any more; idempotent.

        Older releases of python-socketio keep it for ever.
        """
        self._half_events.pop(eio_sid, None)

    def sweep(self, is_open: Callable[[str], bool]) -> None:
        """Drop what a race left of sessions that have ended."""
        for eio_sid in list(self._half_events):
            if not is_open(eio_sid):
                self.forget(eio_sid)
