"""What `mina-ops doctor` says of one thing. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """How one thing is."""

    OK = "ok"
    WARNING = "warning"
    """It works now, and may not in an emergency or under load."""
    FAULT = "fault"
    UNKNOWN = "unknown"
    """It cannot be found out from here; the text says why."""


MARKS = {State.OK: "ok", State.WARNING: "!", State.FAULT: "FAULT", State.UNKNOWN: "?"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        area: what it belongs to, as "redis".
        text: what was found, for a person.
        todo: what to type or change; "" where nothing is to do.
    """

    area: str
    state: State
    text: str
    todo: str = ""

    def to_json(self) -> dict[str, Any]:
        """A plain value for JSON."""
        return asdict(self)

    def line(self) -> str:
        """The finding as one or two lines for a terminal."""
        first = f"{MARKS[self.state]:>5}  {self.area:<10} {self.text}"
        return f"{first}\n{'':>18}-> {self.todo}" if self.todo else first


def summary(findings: Sequence[Finding]) -> str:
    """How many of each kind, as one sentence."""
    counts = {state: sum(f.state is state for f in findings) for state in State}
    parts = [f"{counts[state]} {state}" for state in State if counts[state]]
    return f"{len(findings)} looked at: {', '.join(parts)}."


def ok(area: str, text: str) -> Finding:
    """All is well with it."""
    return Finding(area, State.OK, text)


def warning(area: str, text: str, todo: str = "") -> Finding:
    """It works for now."""
    return Finding(area, State.WARNING, text, todo)


def fault(area: str, text: str, todo: str = "") -> Finding:
    """It does not work."""
    return Finding(area, State.FAULT, text, todo)


def unknown(area: str, text: str, todo: str = "") -> Finding:
    """It cannot be told."""
    return Finding(area, State.UNKNOWN, text, todo)
