"""Waits, and looks meanwhile whether every server lives; the figures are shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from mina_ops.demo.crowd import Crowd
from mina_ops.demo.processes import ServerFailed
from mina_ops.demo.show import Show, Status
from mina_ops.demo.stage import Stage
from mina_ops.errors import AppUnhealthy, OperatorError
from mina_ops.operator.api.client import AppClient

_BEAT_SECONDS = 0.25
_PERSIST_SECONDS = 10.0


class Watching:
    """Waits for conditions, and shows the crowd and the colours meanwhile.

    Attributes:
        split: percent of new visitors for each colour, as shown.
    """

    def __init__(
        self, stage: Stage, show: Show, crowd: Crowd, clients: Mapping[str, AppClient]
    ) -> None:
        self.split: Mapping[str, int] = {}
        self._stage = stage
        self._show = show
        self._crowd = crowd
        self._clients = clients

    def hold(self, seconds: float) -> None:
        """Wait that long."""
        deadline = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= deadline, float("inf"), None)

    def until(
        self,
        holds: Callable[[], bool],
        seconds: float,
        otherwise: str | None,
        error: type[OperatorError] = AppUnhealthy,
    ) -> None:
        """Wait until `holds`; without `otherwise`, it is no error if that does not happen.

        Raises:
            ServerFailed: a server of the stage or a process of the crowd ended.
            OperatorError: of the type `error`, after `seconds`.
        """
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                if otherwise is None:
                    return
                raise error(f"After {seconds:g} s: {otherwise}. Logs: {self._stage.folder}")
            self._look()
            time.sleep(_BEAT_SECONDS)
        self._look()

    def persist(self, change: Callable[[], object]) -> None:
        """Ask for a change, again for 10 s if it is refused: a busy machine's Redis may be late.

        Raises:
            ServerFailed, OperatorError: as `until`; the last refusal.
        """
        deadline = time.monotonic() + _PERSIST_SECONDS
        while True:
            try:
                change()
                return
            except OperatorError:
                if time.monotonic() > deadline:
                    raise
            self.hold(1.0)

    def _look(self) -> None:
        for server in (*self._stage.servers, *self._crowd.servers):
            if not server.alive:
                raise ServerFailed(f"{server.name} ended: {server.log_tail()}")
        crowd = self._crowd
        crowd.look()
        self._show.update(
            Status(
                split=self.split,
                connections={colour: self._live_sessions(colour) for colour in self._clients},
                requests=crowd.count("load", "requests"),
                failed=crowd.count("load", "failed"),
                clients=crowd.count("clients", "clients"),
                connected=crowd.count("clients", "connected"),
                reconnected=crowd.count("clients", "reconnected"),
                sent=crowd.count("clients", "sent"),
                waiting=crowd.count("clients", "waiting"),
            )
        )

    def _live_sessions(self, colour: str) -> int | None:
        try:
            return self._clients[colour].connections().active
        except OperatorError:
            return None
