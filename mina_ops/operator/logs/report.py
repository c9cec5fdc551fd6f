"""What a review of logs found, as JSON and as lines for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Suspicion:
    """One pattern of one address: how often, between when and when, with examples."""

    pattern: str
    address: str
    count: int
    first: str
    last: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Review:
    """What the logs of a time hold."""

    since: str
    requests: int
    addresses: int
    unreadable: int
    suspicions: tuple[Suspicion, ...]
    admin_actions: tuple[str, ...]
    audit: Mapping[str, int] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()
    connections: int = 0
    damaged: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether every line could be read; of others nothing can be said."""
        return not (self.unreadable or self.connections or self.damaged)

    def to_json(self) -> dict[str, Any]:
        """The review as JSON's types."""
        return asdict(self)

    def to_text(self) -> str:
        """The review as lines for a terminal."""
        lines = [
            f"Since {self.since}: {self.requests} requests of {self.addresses} addresses, "
            f"{self.unreadable} lines that could not be read."
        ]
        for found in self.suspicions:
            lines.append(
                f"{found.address}  {found.pattern}  {found.count} times, "
                f"{found.first} to {found.last}"
            )
            lines += [f"    {example}" for example in found.examples]
        lines += [f"Admin: {line}" for line in self.admin_actions]
        lines += [f"Audit: {who} changed {number} things" for who, number in self.audit.items()]
        lines += [f"Gap: no line {gap}; was the log cut?" for gap in self.gaps]
        lines += self._blind_spots()
        number = len(self.suspicions)
        if number:
            lines.append(f"{number} suspicious patterns.")
        elif self.is_whole:
            lines.append("No suspicious pattern.")
        else:
            lines.append("Nothing suspicious in what could be read; look at the rest yourself.")
        return "\n".join(printable(line) for line in lines)

    def _blind_spots(self) -> list[str]:
        found = [f"Not read: {told}" for told in self.damaged]
        if self.unreadable:
            found.append(f"{self.unreadable} lines are of no known form; nobody looked at them.")
        if self.connections:
            found.append(
                f"{self.connections} lines tell of connections alone (HAProxy's default format); "
                "set `option httplog` to see what was asked."
            )
        return found


def printable(text: str) -> str:
    """What an attacker wrote, without control characters that would act on a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
