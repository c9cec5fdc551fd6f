"""What programs print is bounded, clean, and without known secrets."""

from __future__ import annotations

import io
import resource
import sys

import pytest

from mina_ops.errors import OperatorError
from mina_ops.operator.system import programs
from mina_ops.operator.system.output import LONGEST_LINE, Mask, clean, lines


def test_a_line_of_any_length_takes_little_memory_and_says_what_was_left_out() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code = "import sys\nfor _ in range(100): sys.stdout.write('x' * (1 << 20))"
    seen: list[str] = []
    result = programs.follow([sys.executable, "-c", code], seen.append, timeout_seconds=60)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert result.ok
    assert len(seen) == 1
    assert seen[0].startswith("x" * LONGEST_LINE)
    assert seen[0].endswith(f"and {100 * (1 << 20) - LONGEST_LINE} more")
    assert grown < 50_000  # kB


def test_control_codes_are_left_out() -> None:
    assert clean(b"\x1b[31mred\x1b[0m \x1b]0;title\x07plain\x00\r") == "red plain"


def test_lines_come_whole_whatever_the_pieces_are() -> None:
    assert list(lines(io.BytesIO(b"one\ntwo\n\nlast"))) == ["one", "two", "", "last"]


def test_secrets_that_the_environment_holds_are_masked() -> None:
    mask = Mask(
        {
            "API_TOKEN": "abcdef123456",
            "DATABASE_URL": "postgresql://u:p%40ssw0rd@db/x",
            "SECRET_SHORT": "abc",
            "HOME": "/home/me",
        }
    )
    said = mask("token abcdef123456, p@ssw0rd, p%40ssw0rd, abc in /home/me")
    assert said == "token ***, ***, ***, abc in /home/me"


def test_a_command_ends_when_it_is_to_stop() -> None:
    with pytest.raises(OperatorError, match="was stopped"):
        programs.follow(["sleep", "60"], print, timeout_seconds=50, stop=lambda: True)
