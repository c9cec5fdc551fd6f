"""What a status page shows: states, updates, maintenance that is planned. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

WORDS: Mapping[str, tuple[str, str]] = {
    "operational": ("All systems operational", "Operational"),
    "maintenance": ("Planned maintenance", "Under maintenance"),
    "degraded": ("Degraded performance", "Degraded"),
    "outage": ("Service unavailable", "Unavailable"),
}
"""State -> the headline of the page, and the word beside a component; from best to worst."""
STATES = tuple(WORDS)
"""From best to worst."""
_MOST_NAMED = 2


@dataclass(frozen=True)
class Entry:
    """One update: when (ISO, UTC), which state, a sentence for the users, and what it is about.

    `components` is empty where all of the product is meant.
    """

    at: str
    state: str
    text: str
    components: tuple[str, ...] = ()


@dataclass(frozen=True)
class Maintenance:
    """Work that is announced: `begin` and `end` are ISO times in UTC."""

    begin: str
    end: str
    text: str
    components: tuple[str, ...] = ()


@dataclass(frozen=True)
class Status:
    """All that the page shows.

    Attributes:
        components: name -> state; empty where the settings name none.
        planned: maintenance that has not ended, the next first.
        updates: the newest first, at most 200.
    """

    title: str = "Mina"
    components: Mapping[str, str] = field(default_factory=dict)
    planned: tuple[Maintenance, ...] = ()
    updates: tuple[Entry, ...] = ()

    @property
    def state(self) -> str:
        """The worst state of a component; without components, that of the newest update."""
        if self.components:
            return max(self.components.values(), key=STATES.index)
        return self.updates[0].state if self.updates else STATES[0]

    @property
    def headline(self) -> str:
        """The first words of the page; they name the components, if not all are in that state."""
        words, word = WORDS[self.state]
        meant = [name for name, state in self.components.items() if state == self.state]
        if self.state == STATES[0] or len(meant) == len(self.components):
            return words
        few = len(meant) <= _MOST_NAMED
        who = " and ".join(meant) if few else f"{len(meant)} of {len(self.components)} components"
        return f"{who} {word.lower()}"

    def to_json(self) -> dict[str, Any]:
        """What status.json holds."""
        return {**asdict(self), "state": self.state}
