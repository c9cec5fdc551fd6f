"""Gherkin scenarios as plain steps: outlines are expanded, the background comes first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gherkin.parser import Parser
from gherkin.pickles.compiler import Compiler


@dataclass(frozen=True)
class Step:
    """One step; `table` holds its data table, header included."""

    text: str
    table: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Scenario:
    """One scenario with concrete values."""

    name: str
    tags: frozenset[str]
    steps: tuple[Step, ...]


def scenarios(path: Path) -> list[Scenario]:
    """All scenarios of a feature file."""
    document = Parser().parse(path.read_text(encoding="utf-8"))
    document["uri"] = path.name
    return [_scenario(pickle) for pickle in Compiler().compile(document)]


def _scenario(pickle: dict) -> Scenario:  # type: ignore[type-arg]
    steps = []
    for step in pickle["steps"]:
        rows = step.get("argument", {}).get("dataTable", {}).get("rows", [])
        table = tuple(tuple(cell["value"] for cell in row["cells"]) for row in rows)
        steps.append(Step(step["text"], table))
    tags = frozenset(tag["name"] for tag in pickle["tags"])
    return Scenario(pickle["name"], tags, tuple(steps))
