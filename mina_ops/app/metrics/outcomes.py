"""Outcomes: successes and failures of something that the host does, and their listeners."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self


class Outcome:
    """One attempt at something that has a name.

    ``with ops.outcome("transcription"): ...`` counts a failure if the block raises, else a
    success; `failure()` within it says that the block failed without raising. Without a block,
    call one of the two.
    """

    def __init__(self, tell: Callable[[bool], None]) -> None:
        self._tell = tell
        self._told = False

    def success(self) -> None:
        """Count a success; never blocks."""
        self._told = True
        self._tell(True)

    def failure(self) -> None:
        """Count a failure; never blocks."""
        self._told = True
        self._tell(False)

    def __enter__(self) -> Self:
        self._told = False
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._told:
            self._tell(kind is None)


class OutcomeEvents:
    """Tells every listener of each outcome. Built first, so that no feature needs another."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[str, bool], None]] = []

    def listen(self, listener: Callable[[str, bool], None]) -> None:
        """Call `listener(name, succeeded)` in the thread that tells; it must not block."""
        self._listeners.append(listener)

    def tell(self, name: str, succeeded: bool) -> None:
        """An attempt at `name` ended."""
        for listener in self._listeners:
            listener(name, succeeded)
