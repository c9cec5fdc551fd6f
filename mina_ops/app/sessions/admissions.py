"""Decides whether a new session may come in, by asking each feature that may refuse one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mina_ops.app.web.answers import Answer

Refusal = tuple[str, Answer]
"""Why a handshake is turned away (a label of the metrics), and the answer that it gets."""

Admission = Callable[[Mapping[str, Any]], Refusal | None]
"""Takes a handshake's WSGI environ; returns a refusal, or None to let it in."""


class Admissions:
    """Asks admissions in the order in which they were added; the first refusal counts."""

    def __init__(self) -> None:
        self._asked: list[Admission] = []

    def add(self, admission: Admission) -> None:
        """Ask this admission, too, after those that were added before."""
        self._asked.append(admission)

    def refusal(self, environ: Mapping[str, Any]) -> Refusal | None:
        """The first refusal of a handshake; None: it may come in."""
        for admission in self._asked:
            refused = admission(environ)
            if refused is not None:
                return refused
        return None
