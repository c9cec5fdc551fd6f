"""Whatever a page or a message tells somebody to type is a command, with such options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mina_ops.cli import main
from tests.support.hosts import REPOSITORY

PLACES = ("README.md", "docs", "mina_ops", "nginx", "deployment", "scripts")
KINDS = (".md", ".py", ".js", ".sh", ".toml", ".conf", ".yml")
# A text that goes on in the next line of Python is one text.
_GOES_ON = re.compile(r"\"\s*\n\s*f?\"")
_IN_WORDS = re.compile(r"`(mina-ops [^`\n]*)`")
_IN_A_SHELL = re.compile(r"^(?:\$ )?(mina-ops [^\n]*)", re.M)
_EVERYWHERE = {"--help", "--config", "--version"}


def _files() -> Iterator[Path]:
    for place in PLACES:
        path = REPOSITORY / place
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.suffix in KINDS:
                yield file


def _named() -> dict[str, str]:
    """Each line, and the first file that names it."""
    found: dict[str, str] = {}
    for file in _files():
        text = _GOES_ON.sub("", file.read_text())
        for line in [*_IN_WORDS.findall(text), *_IN_A_SHELL.findall(text)]:
            found.setdefault(line, str(file.relative_to(REPOSITORY)))
    return found


def test_every_command_that_is_named_exists() -> None:
    named = _named()
    assert len(named) > 100
    wrong = {f"{file}: {line}": why for line, file in named.items() if (why := _problem(line))}
    assert wrong == {}


@pytest.mark.parametrize("line", ["mina-ops flags off KEY", "mina-ops rollback --at-once"])
def test_one_that_does_not_is_found(line: str) -> None:
    assert _problem(line)


def _problem(line: str) -> str:
    """Why somebody who types it is told that there is no such thing; "" if it exists."""
    command: click.Command = main
    options = []
    for word in _words(line):
        if word.startswith("--") and word != "--":
            options.append(word.partition("=")[0].rstrip(",."))
        elif isinstance(command, click.Group) and re.fullmatch(r"[a-z][a-z-]*", word):
            found = command.get_command(click.Context(main), word)
            if found is None:
                return f"no command {word}"
            command = found
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    missing = [option for option in options if option not in known | _EVERYWHERE]
    return f"no option {missing[0]}" if missing else ""


def _words(line: str) -> Iterator[str]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        words = line.split()
    for word in words[1:]:
        if word in ("|", "||", "&&", ";"):
            return
        yield word
