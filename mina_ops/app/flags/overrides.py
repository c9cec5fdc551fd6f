"""Answers that tests set by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from mina_ops.app.flags.evaluate import Compiled


class Overrides:
    """Answers that come before the snapshot's, for every thread of this process.

    They cost an evaluation nothing: they are merged into the table that it reads.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self.layers: tuple[Mapping[str, bool], ...] = ()
        """What each open `with` set, the innermost last."""
        self._changed = changed

    @contextmanager
    def set(self, answers: Mapping[str, bool]) -> Iterator[None]:
        """Use these answers inside the ``with``; the inner one of two wins."""
        layer = dict(answers)
        self.layers = (*self.layers, layer)
        self._changed()
        try:
            yield
        finally:
            self.layers = tuple(other for other in self.layers if other is not layer)
            self._changed()

    def answer(self, key: str) -> bool | None:
        """What was set for a flag; None: nothing."""
        found = [layer[key] for layer in self.layers if key in layer]
        return found[-1] if found else None

    def over(self, table: Mapping[str, Compiled]) -> Mapping[str, Compiled]:
        """The table with the answers laid over it."""
        merged = dict(table)
        for layer in self.layers:
            merged |= layer
        return merged
