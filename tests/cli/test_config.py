"""`mina-ops config`: the whole file at once, which no other command reads."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from mina_ops.cli import main

GOOD = """
[public]
url = "https://mina.example.com/"
[colours.blue]
url = "http://127.0.0.1:8001"
[colours.green]
url = "http://127.0.0.1:8002"
[traffic]
driver = "nginx"
[traffic.nginx]
state = "state"
"""


def config(file: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--config", str(file), "config", *words])


def test_a_good_file_has_no_problem(tmp_path: Path) -> None:
    file = tmp_path / "mina-ops.toml"
    file.write_text(GOOD)
    done = config(file, "check")
    assert (done.exit_code, done.output) == (0, f"{file}: nothing is wrong with it.\n")


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "mina-ops.toml"
    mistakes = "[notify]\nretries = 3\n[relase]\n[speed]\n[incident.secrets]\nsettle_seconds = 0\n"
    file.write_text(GOOD + mistakes)
    done = config(file, "check", "--json")
    assert done.exit_code == 2
    problems = json.loads(done.stdout)["problems"]
    for told in (
        "notify.retries: unknown key",
        "relase: unknown table. Did you mean 'release'?",
        "speed: unknown table; nobody reads it.",
        "incident.secrets.settle_seconds: 0 is out of range; give at least 1 and at most 3600.",
    ):
        assert sum(told in problem for problem in problems) == 1, (told, problems)
    assert len(problems) == 4


def test_the_keys_of_a_table_are_explained(tmp_path: Path) -> None:
    file = tmp_path / "none.toml"
    assert "release.triggers" in config(file, "keys").output.splitlines()
    shown = config(file, "keys", "release")
    assert "| `step_seconds` | `600` | seconds | at least 0 |" in shown.output
    missing = config(file, "keys", "relase")
    assert missing.exit_code == 2
    assert "No table 'relase'; there are token, colours" in missing.output
