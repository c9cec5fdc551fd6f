"""Every `mina-ops` line in every page is one that the real command understands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mina_ops.cli import main
from tests.support import pages

_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_QUOTED = re.compile(r"\"(mina-ops [^\"]*)\"")
_ENDS = {"|", "&&", "||", ";", "<", ">", "#"}


@pytest.mark.parametrize("page", pages.pages(), ids=lambda page: page.name)
def test_every_option_and_argument_of_a_page_exists(page: Path) -> None:
    wrong = {line: why for line in set(_lines(page)) if (why := _refusal(line))}
    assert not wrong


def test_a_line_with_a_made_up_option_or_command_is_found() -> None:
    assert "--percent" in _refusal("mina-ops switch blue green --percent 10")
    assert "blu" in _refusal("mina-ops drain blue --grace blu")
    assert "notes" in _refusal("mina-ops release notes v2")
    assert not _refusal("mina-ops switch blue green --canary 10   # then 25, 50")


def _lines(page: Path) -> Iterator[str]:
    text = page.read_text()
    for block in pages.blocks(page):
        found = _QUOTED.findall(block.text)
        if block.language in pages.SHELLS:
            found += [typed.line for typed in block.typed()]
        yield from (line for line in found if line.startswith("mina-ops "))
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    for code in _INLINE.findall(prose):
        words = code.split()
        # Tables leave the program's name out: `lock acquire -m "disk swap"`.
        if words[0] == "mina-ops" and len(words) > 1:
            yield code
        elif len(words) > 1 and words[0] in main.commands and "," not in code:
            yield f"mina-ops {code}"


def _refusal(line: str) -> str:
    """What the command says against the line; "" if it would run."""
    words = shlex.split(re.sub(r"\.\.\.|[][]", "", line), comments=True)[1:]
    words = words[: next((n for n, word in enumerate(words) if word in _ENDS), len(words))]
    try:
        _parse(main, "mina-ops", words, None)
    except (click.exceptions.NoArgsIsHelpError, click.MissingParameter, click.exceptions.Exit):
        return ""
    except click.UsageError as error:
        # `db restore --table` names an option, and no value for it.
        return (
            ""
            if isinstance(error, click.BadOptionUsage)
            and line.endswith(words[-1])
            and ("requires an argument" in error.message)
            else error.format_message()
        )
    return ""


def _parse(
    command: click.Command, name: str, words: list[str], parent: click.Context | None
) -> None:
    with command.make_context(name, list(words), parent=parent) as context:
        rest = [*context._protected_args, *context.args]
        if isinstance(command, click.Group) and rest:
            found, inner, arguments = command.resolve_command(context, rest)
            assert inner is not None
            _parse(inner, str(found), arguments, context)
