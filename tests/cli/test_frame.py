"""The frame: lazy, and an exit code for each kind of failure."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mina_ops import errors
from mina_ops.cli import COMMANDS, main, output
from tests.support.hosts import REPOSITORY

MINA_OPS = Path(sys.executable).with_name("mina-ops")


def test_the_help_lists_every_command_and_exit_code() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for name, (_, line) in COMMANDS.items():
        assert name in result.stdout
        assert line.split()[0] in result.stdout
    table = (REPOSITORY / "docs" / "cli.md").read_text()
    for code in range(12):
        assert f" {code}  " in result.stdout
        assert f"\n| {code} | " in table


def test_every_command_can_be_loaded_and_explains_itself() -> None:
    for name in ("status", "switch", "drain", "traffic", "watch"):
        result = CliRunner().invoke(main, [name, "--help"])
        assert result.exit_code == 0, name
        assert "Usage: main " + name in result.stdout


def test_start_up_loads_nothing_that_the_command_does_not_need() -> None:
    program = (
        "import sys; from mina_ops.cli import main; main(['--help'], standalone_mode=False);"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Usage: ")
    loaded = set(done.stderr.split())
    assert loaded & {"flask", "httpx", "rich", "jinja2", "redis", "sqlalchemy", "socketio"} == set()


def test_an_unknown_command_is_wrong_usage() -> None:
    result = CliRunner().invoke(main, ["swich"])
    assert result.exit_code == 2
    assert "No such command 'swich'" in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.OperatorError, 1),
        (errors.ConfigurationError, 2),
        (errors.AppUnreachable, 3),
        (errors.AppUnhealthy, 3),
        (errors.Locked, 4),
        (errors.RolledBack, 5),
        (errors.ToolMissing, 6),
        (errors.TrafficError, 7),
        (errors.AccessDenied, 8),
        (errors.DrainForced, 9),
        (errors.DrainTimedOut, 10),
    ],
)
def test_each_failure_is_a_sentence_and_its_code(
    error: type[errors.MinaOpsError], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    def failing() -> None:
        raise error("This happened. Do that.")

    monkeypatch.setattr("mina_ops.cli.status.command", failing)
    result = CliRunner().invoke(main, ["status"])
    assert result.exit_code == code
    assert (result.stdout, result.stderr) == ("", "mina-ops: This happened. Do that.\n")


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def broken() -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("mina_ops.cli.status.command", broken)
    assert isinstance(CliRunner().invoke(main, ["status"]).exception, KeyError)


def test_settings_that_are_missing_are_asked_for(tmp_path: Path) -> None:
    done = subprocess.run(
        [MINA_OPS, "status"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "No mina-ops.toml in" in done.stderr
    assert "--config PATH" in done.stderr


def test_the_version_is_the_packages() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0
    assert "0." in result.stdout


def test_a_question_that_is_not_answered_with_yes_is_one_object(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @click.command()
    @output.json_option
    def asking() -> None:
        click.confirm("Do it?", abort=True, err=True)

    monkeypatch.setattr("mina_ops.cli.status.command", asking)
    for answer in ("n\n", ""):
        result = CliRunner().invoke(main, ["status", "--json"], input=answer)
        assert result.exit_code == 1
        assert json.loads(result.stdout)["error"] == "not_confirmed"


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from _commands(inner, f"{path} {name}".strip())


def test_every_command_knows_json_and_explains_each_option() -> None:
    # The first two print JSON in any case, the last one a page for people.
    without_json = {"db mapped", "flags export", "config keys"}
    silent = {}
    for path, command in _commands(main, ""):
        options = [param for param in command.params if isinstance(param, click.Option)]
        lacking = [option.opts[-1] for option in options if not option.help]
        if not any("--json" in option.opts for option in options) and path not in without_json:
            lacking.append("--json")
        if lacking:
            silent[path] = lacking
    assert silent == {}
