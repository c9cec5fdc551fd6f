"""The one background loop of a process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Set
from functools import partial

from mina_ops.app.clock import Clock
from mina_ops.app.forks import call_in_children
from mina_ops.app.process import EVERY_KIND, Kind, Process
from mina_ops.errors import StateUnavailable

_log = logging.getLogger(__name__)

Beat = Callable[[float], None]


class Heartbeat:
    """Calls every component once each `beat_seconds`, and at once when poked.

    It starts with the first request of a process, the first flag that it asks or the first outcome
    that it tells, so after any fork, and runs in a thread that gevent or eventlet may have made
    green. A component that fails does not stop the others; that
    Redis is away is said once when it goes and once when it is back.
    """

    def __init__(
        self, beat_seconds: float, clock: Clock | None = None, process: Process | None = None
    ) -> None:
        self.running = False
        self.serving = False
        """Whether this process has served a request."""
        self.process = process or Process()
        self.beats = 0
        self._pause = beat_seconds
        self._clock = clock or Clock()
        self._components: list[tuple[str, Beat, Set[Kind]]] = []
        self._begin: list[tuple[Callable[[], None], Set[Kind]]] = []
        self._poked = threading.Event()
        self._starting = threading.Lock()
        self._failing: set[str] = set()
        self._stopped = False
        self._thread: threading.Thread | None = None
        call_in_children(self._forget_parent)

    def every_beat(self, name: str, beat: Beat, kinds: Set[Kind] = EVERY_KIND) -> None:
        """Call `beat(unix_time)` on each beat of processes of these kinds, in the order added."""
        self._components.append((name, beat, kinds))

    def at_start(self, begin: Callable[[], None], kinds: Set[Kind] = EVERY_KIND) -> None:
        """Call `begin()` once in each process of these kinds, just before its first beat."""
        self._begin.append((begin, kinds))

    def start(self) -> None:
        """This process serves a request: start the loop; idempotent, returns at once."""
        self.serving = True
        self.process.serves()
        if not self._start():
            self.poke()  # what only processes that serve do begins now

    def start_beside_requests(self) -> bool:
        """This process asks a flag or tells an outcome: start the loop; True if it starts now."""
        if self.running or self._stopped:
            return False
        self.process.works()
        return self._start()

    def _start(self) -> bool:
        with self._starting:
            if self.running or self._stopped:
                return False
            # Anew: with preload_app, gevent and eventlet patch threads after this object was made,
            # and a real event's wait would stop the whole process.
            self._poked = threading.Event()
            self.running = True
        thread = threading.Thread(target=self._run, name="mina_ops-heartbeat", daemon=True)
        thread.start()
        # Only now: `stop`, called meanwhile by who closes the app, cannot join what is not started.
        self._thread = thread
        return True

    def poke(self, _: object = None) -> None:
        """Beat now rather than at the end of the pause."""
        self._poked.set()

    def stop(self, *, wait_seconds: float = 0.0) -> None:
        """End the loop after the present beat; it does not start again.

        Args:
            wait_seconds: how long to wait for the present beat. One that hangs ends by itself.
        """
        self._stopped = True
        self.running = False
        self._poked.set()
        if wait_seconds and self._thread is not None:
            self._thread.join(wait_seconds)

    def _run(self) -> None:
        begun: set[int] = set()
        while self.running:
            self._poked.clear()
            kind = self.process.kind
            for number, (begin, kinds) in enumerate(self._begin):
                if kind in kinds and number not in begun:
                    begun.add(number)
                    self._guard(begin.__qualname__, partial(_without_time, begin))
            for name, beat, kinds in self._components:
                if kind in kinds:
                    self._guard(name, beat)
            self.beats += 1
            self._poked.wait(self._pause)

    def _guard(self, name: str, beat: Beat) -> None:
        try:
            beat(self._clock.now())
        except StateUnavailable as exc:
            if name not in self._failing:
                _log.warning("Shared state is away for %s: %s", name, exc)
            self._failing.add(name)
        except Exception:
            if name not in self._failing:
                _log.exception("The heartbeat of %s failed", name)
            self._failing.add(name)
        else:
            if name in self._failing:
                self._failing.discard(name)
                _log.info("The heartbeat of %s works again", name)

    def _forget_parent(self) -> None:
        """A fork copies no thread: the child starts its own loop when it needs one."""
        self.running = self.serving = False
        self.beats = 0
        self._thread = None
        self._starting = threading.Lock()
        self._poked = threading.Event()


def _without_time(begin: Callable[[], None], _: float) -> None:
    begin()
