"""Settings are declared once: both readers and the tables in docs/ follow the declaration."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mina_ops.errors import ConfigurationError
from mina_ops.fields import NUMBER, PATH, TABLE, TEXT, TEXTS, WHOLE, Form, markdown, needed, setting
from mina_ops.operator.config.tables import Table
from tests.support.hosts import REPOSITORY

SHORT = Form(lambda text: len(text) < 5, "be short")


@dataclass(frozen=True)
class Inner:
    tries: int = setting(3, WHOLE, "How often.", "tries", least=1)


@dataclass(frozen=True)
class Options:
    name: str = needed(TEXT, "What it is called.")
    mode: str = setting("fast", TEXT, "How.", choices=("fast", "slow"))
    pause: float = setting(0.5, NUMBER, "Between two.", "seconds", above=0, most=5)
    paths: tuple[str, ...] = setting(("/a", "/b"), TEXTS, "Where.", form=SHORT)
    folder: Path = setting(Path("kept"), PATH, "Where it is kept.")
    inner: Inner = setting(Inner, TABLE, "See below.", shown="")


FILE = Path("/srv/mina-ops.toml")


def test_a_table_is_filled_by_its_declaration() -> None:
    values = {"name": "x", "pause": 2, "inner": {"tries": 9}}
    found = Table(FILE, "demo", values).fill(Options)
    assert found == Options("x", "fast", 2, ("/a", "/b"), Path("/srv/kept"), Inner(9))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"demo.name: is missing; give a text in quotes"),
        ({"nmae": "x"}, r"demo.name: is missing.* Did you mean it by 'nmae'"),
        ({"name": ""}, r"demo.name: is empty; give a value"),
        ({"name": "x", "puase": 1}, r"demo.puase: unknown key. Did you mean 'pause'"),
        ({"name": "x", "mode": "fsat"}, r"demo.mode: 'fsat' is none of fast, slow. Did you mean"),
        ({"name": "x", "pause": 0}, r"demo.pause: 0 is out of range; give above 0 and at most 5"),
        ({"name": "x", "pause": float("nan")}, r"demo.pause: nan is out of range"),
        ({"name": "x", "pause": True}, r"demo.pause: True must be a number"),
        ({"name": "x", "paths": ["", "/"]}, r"demo.paths: .* must be a list of texts, none of"),
        ({"name": "x", "paths": ["/", "/long"]}, r"demo.paths: '/long' must be short"),
        ({"name": "x", "inner": {"tries": 0}}, r"demo.inner.tries: 0 is out of range; give at le"),
        ({"name": "x", "inner": {"tires": 1}}, r"demo.inner.tires: unknown key. Did you mean 'tr"),
        ({"name": "x", "inner": 3}, r"demo.inner: 3 must be a table"),
    ],
)
def test_what_the_declaration_forbids_is_refused_by_its_key(
    values: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Table(FILE, "demo", values).fill(Options)


def test_the_table_for_the_docs_says_default_unit_range_and_meaning() -> None:
    rows = markdown(Options).splitlines()
    assert rows[2] == "| `name` | needed |  |  | What it is called. |"
    assert rows[3] == '| `mode` | `"fast"` |  | one of fast, slow | How. |'
    assert rows[4] == "| `pause` | `0.5` | seconds | above 0 and at most 5 | Between two. |"
    assert rows[5] == '| `paths` | `["/a", "/b"]` |  | must be short | Where. |'


def test_the_docs_hold_the_tables_that_the_code_makes() -> None:
    command = [sys.executable, "scripts/dev/reference.py", "--check"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run scripts/dev/reference.py; {done.stdout}{done.stderr}"
