"""How commands speak: data on stdout, as text or as JSON; everything else on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])


def json_option(function: _F) -> _F:
    """Add `--json`; the command gets `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(function)


def dry_run_option(function: _F) -> _F:
    """Add `--dry-run`; the command gets `dry_run`."""
    return click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")(
        function
    )


def colour_option(function: _F) -> _F:
    """Add `--colour`; the command gets `colour`, None where it was not given."""
    return click.option(
        "--colour", metavar="COLOUR", help="Ask this colour; default: the first that answers."
    )(function)


def data(value: Any, text: str, *, as_json: bool) -> None:
    """Print a command's result on stdout: `value` as one line of JSON, or `text`."""
    click.echo(json.dumps(value, default=str) if as_json else plain(text))


def say(message: str) -> None:
    """Print a remark on stderr."""
    click.echo(plain(message), err=True)


def plain(text: str) -> str:
    """A text that does nothing to a terminal: what came from the app may hold escape codes."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Rows as aligned plain text, for terminals and pipes alike."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
