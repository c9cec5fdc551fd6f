"""Programs that are followed while they run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mina_ops.errors import OperatorError, ToolMissing
from mina_ops.operator.system import programs
from tests.support.wait import eventually


def test_lines_are_handed_on_while_the_program_runs(tmp_path: Path) -> None:
    seen: list[str] = []
    script = f"echo one; echo two >&2; until test -e {tmp_path}/go; do sleep 0.02; done; exit 3"

    def go_on(line: str) -> None:
        seen.append(line)
        if line == "two":
            (tmp_path / "go").touch()

    result = programs.follow(["sh", "-c", script], go_on, timeout_seconds=20)
    assert seen == ["one", "two"]
    assert (result.code, result.last_line()) == (3, "two")


def test_a_program_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! > {tmp_path}/pid; wait"
    with pytest.raises(OperatorError, match="did not end within"):
        programs.follow(["sh", "-c", script], lambda line: None, timeout_seconds=5)
    child = int((tmp_path / "pid").read_text())
    eventually(lambda: _is_gone(child), 10)


def _is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def test_a_server_that_is_left_behind_is_not_waited_for(tmp_path: Path) -> None:
    script = f"sleep 30 & echo $! > {tmp_path}/pid"
    try:
        result = programs.follow(["sh", "-c", script], lambda line: None, timeout_seconds=20)
        assert result.ok
        assert not _is_gone(int((tmp_path / "pid").read_text()))
    finally:
        os.kill(int((tmp_path / "pid").read_text()), 9)


def test_a_program_that_is_missing_is_named() -> None:
    with pytest.raises(ToolMissing, match="no-such-program is not installed"):
        programs.follow(["no-such-program"], lambda line: None, timeout_seconds=1)
