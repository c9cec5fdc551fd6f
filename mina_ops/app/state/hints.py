"""Hears the hints of other processes: one thread and one connection for all channels."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis

from mina_ops.app.state.base import Message, Subscription

_log = logging.getLogger(__name__)

_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)  # seconds between attempts; the last one repeats
_FORBIDDEN_SECONDS = 60.0
_LOOK_SECONDS = 0.25
"""A channel that is added while the thread listens is heard after at most this long."""


@dataclass(frozen=True, eq=False)
class _Follower:
    hints: Hints
    channels: frozenset[str]
    on_message: Message

    def close(self) -> None:
        """Follow no more; idempotent."""
        self.hints.forget(self)


class Hints:
    """Calls its followers for each hint, and after each reconnect, since hints may have been lost.

    A hint that is lost or forbidden costs a beat and nothing else.

    Args:
        client: a redis-py client.
        faults: what the client's calls may raise while Redis is away.
    """

    def __init__(self, client: Any, faults: tuple[type[Exception], ...]) -> None:
        self._client = client
        self._faults = faults
        self._followers: tuple[_Follower, ...] = ()
        self._told = False
        self._listening = False
        self._begin()

    def follow(self, channels: Sequence[str], on_message: Message) -> Subscription:
        """Call `on_message(channel)` for each hint, from the listening thread, until closed."""
        if self._pid != os.getpid():
            self._begin()
        follower = _Follower(self, frozenset(channels), on_message)
        with self._lock:
            self._followers = (*self._followers, follower)
            if not self._listening:
                self._listening = True
                threading.Thread(
                    target=self._run, args=(self._stop,), name="mina_ops-hints", daemon=True
                ).start()
        return follower

    def forget(self, follower: _Follower) -> None:
        """Follow its channels no more, unless another follower does."""
        with self._lock:
            self._followers = tuple(other for other in self._followers if other is not follower)

    def close(self) -> None:
        """End the thread within a second; idempotent."""
        self._stop.set()

    def _begin(self) -> None:
        # A forked child inherits no thread; its components call `follow` again.
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._followers = ()
        self._listening = False

    def _run(self, stop: threading.Event) -> None:
        failures = 0
        while not stop.is_set():
            pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
            try:
                failures = self._listen(stop, failures)
                continue
            except redis.exceptions.NoPermissionError as exc:
                pause = _FORBIDDEN_SECONDS
                self._tell_once(exc)
            except Exception as exc:
                # Any exception: a client that another thread closes raises various ones, and a
                # follower's callback may raise, too.
                if not isinstance(exc, self._faults) and not stop.is_set():
                    _log.exception("A listener on hints failed")
            failures += 1
            stop.wait(pause)

    def _listen(self, stop: threading.Event, failures: int) -> int:
        pubsub = self._client.pubsub()
        followed: frozenset[str] = frozenset()
        try:
            while not stop.is_set():
                wanted = frozenset(name for one in self._followers for name in one.channels)
                if wanted - followed:
                    pubsub.subscribe(*sorted(wanted - followed))
                if followed - wanted:
                    pubsub.unsubscribe(*sorted(followed - wanted))
                followed = wanted
                message = pubsub.get_message(timeout=_LOOK_SECONDS) if followed else None
                if not followed:
                    stop.wait(_LOOK_SECONDS)
                if message is not None and message["type"] != "unsubscribe":
                    # A `subscribe` message says that the connection is new: hints that were sent
                    # before it may be lost, so it counts as one.
                    failures = 0
                    self._pass_on(message["channel"].decode())
        finally:
            pubsub.close()
        return failures

    def _pass_on(self, channel: str) -> None:
        for follower in self._followers:
            if channel in follower.channels:
                follower.on_message(channel)

    def _tell_once(self, exc: Exception) -> None:
        if not self._told:
            self._told = True
            _log.warning(
                "Redis lets us use no channels, so changes arrive with the next beat; for less "
                "allow them to the user, see docs/configuration.md (%s)",
                type(exc).__name__,
            )
