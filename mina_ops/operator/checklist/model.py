"""A checklist: items that a program checks, and items that only people can tick off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mina_ops.errors import MinaOpsError

OK, FAILED, OPEN, SKIPPED = "ok", "failed", "open", "skipped"
_MARKS = {OK: "[x]", FAILED: "[!]", OPEN: "[ ]", SKIPPED: "[-]"}


@dataclass(frozen=True)
class Result:
    """How one item came out.

    Attributes:
        state: `ok`, `failed`, `open` (people must tick it off) or `skipped` (it does not apply).
    """

    name: str
    title: str
    state: str
    reason: str


@dataclass(frozen=True)
class Item:
    """One item of a checklist.

    Attributes:
        check: returns its state and the reason; None: only people can tick it off.
    """

    name: str
    title: str
    check: Callable[[], tuple[str, str]] | None = None


@dataclass(frozen=True)
class Checklist:
    """All items of one run."""

    heading: str
    results: tuple[Result, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing failed and nothing is left for people to tick off."""
        return all(result.state in (OK, SKIPPED) for result in self.results)

    def to_json(self) -> dict[str, Any]:
        """The list as JSON's types."""
        return {
            "heading": self.heading,
            "passed": self.passed,
            "items": [asdict(result) for result in self.results],
        }

    def to_text(self) -> str:
        """The list as lines for a terminal."""
        lines = [self.heading]
        for result in self.results:
            reason = f": {result.reason}" if result.reason else ""
            lines.append(f"  {_MARKS[result.state]} {result.title}{reason}")
        left = [result.name for result in self.results if result.state == OPEN]
        if left:
            lines.append(f"Tick off what is done: --done {' --done '.join(left)}")
        return "\n".join(lines)


def go_through(heading: str, items: Sequence[Item], done: Mapping[str, str]) -> Checklist:
    """Every item checked; one that raises is failed with the error's sentence.

    Args:
        done: name of each item that people ticked off -> when and by whom.
    """
    return Checklist(heading, tuple(_result(item, done) for item in items))


def _result(item: Item, done: Mapping[str, str]) -> Result:
    if item.check is None:
        state = OK if item.name in done else OPEN
        return Result(item.name, item.title, state, done.get(item.name, f"[{item.name}]"))
    try:
        state, reason = item.check()
    except MinaOpsError as exc:
        state, reason = FAILED, str(exc)
    if state == OPEN and item.name in done:
        state, reason = OK, done[item.name]
    return Result(item.name, item.title, state, reason)
