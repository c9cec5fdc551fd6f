"""How commands speak: their result on stdout, as text or as JSON; everything else on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])

# Keys of a click context's `meta`, which a command shares with the groups that it is in.
_ASKED, _PRINTED = "mina_ops.json_asked", "mina_ops.data_printed"


def json_option(function: _F) -> _F:
    """Add `--json`, which makes `data` print JSON; `is_json` says whether it was given."""
    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        help="Print one JSON object.",
        callback=_remember,
    )(function)


def _remember(context: click.Context, _: click.Parameter, value: bool) -> None:
    # A group's --json counts for the command within it, too.
    context.meta[_ASKED] = value or context.meta.get(_ASKED, False)


def is_json() -> bool:
    """Whether the command that runs in this thread was given `--json`."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_ASKED))


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


def limit_option(function: _F) -> _F:
    """Add `--limit`; the command gets `limit`, 1 to 1,000."""
    return click.option(
        "--limit",
        type=click.IntRange(1, 1000),
        default=20,
        show_default=True,
        help="How many, the newest first.",
    )(function)


def data(value: Any, text: str, *, as_json: bool | None = None) -> None:
    """Print a command's result on stdout: `value` as one line of JSON, or `text`.

    Args:
        as_json: which of both; None: as `is_json` says, which other threads than the command's own
            cannot ask.
    """
    as_json = is_json() if as_json is None else as_json
    click.echo(json.dumps(value, default=str) if as_json else plain(text))
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[_PRINTED] = True


def refusal(context: click.Context, code: str, message: str, exit_code: int) -> None:
    """With `--json`, say on stdout why a command refused, as one object.

    Where its data was printed already, as of a drain that had to cut sessions, that stays the one
    object; the sentence on stderr and the exit code say the rest.
    """
    if context.meta.get(_ASKED) and not context.meta.get(_PRINTED):
        value = {"error": code, "message": message, "exit_code": exit_code}
        click.echo(json.dumps(value))


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
