"""How every benchmark reports: lines for a person, then one line of JSON."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any


class Report:
    """Collects figures and goals; `finish` prints them and gives the exit code.

    With `--json` standard output holds nothing but the last line, one JSON object with `figures`
    (name -> value, the unit in the name) and `goals` (name -> value, limit, met).
    """

    def __init__(self, as_json: bool) -> None:
        self._talk = sys.stderr if as_json else sys.stdout
        self.figures: dict[str, Any] = {}
        self.goals: dict[str, dict[str, Any]] = {}

    def say(self, text: str) -> None:
        """A line for whoever waits."""
        print(text, file=self._talk, flush=True)

    def figure(self, name: str, value: float | None, digits: int = 3) -> None:
        """A measured figure."""
        self.figures[name] = None if value is None else round(value, digits)
        self.say(f"{name}: {self.figures[name]}")

    def goal(self, name: str, value: float | None, limit: float) -> None:
        """A figure that must not exceed a limit."""
        met = value is not None and value <= limit
        self.goals[name] = {"value": value, "limit": limit, "met": met}
        self.say(f"{'met' if met else 'NOT MET'}: {name} {value}, limit {limit}")

    def finish(self) -> int:
        """Print the JSON line; 0 if every goal was met, else 1."""
        print(json.dumps({"figures": self.figures, "goals": self.goals}), flush=True)
        return 0 if all(goal["met"] for goal in self.goals.values()) else 1


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser that knows `--json`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="only one JSON line on standard output")
    return parser
