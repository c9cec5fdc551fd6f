"""`mina-ops flags`: see and change the flags that both colours share."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mina_ops.cli import flags_change, flags_view, output
from mina_ops.cli.session import Session


@click.group(name="flags")
def command() -> None:
    """See and change feature flags. Needs an admin's token."""


@command.command("list")
@click.option("--release", metavar="VERSION", help="Only what this release brought.")
@click.option("--prefix", default="", metavar="TEXT", help="Only keys that begin so.")
@output.colour_option
@output.json_option
@click.pass_obj
def show_all(session: Session, release: str | None, prefix: str, colour: str | None) -> None:
    """All flags, one on a line."""
    with session.flags(colour) as client:
        body = client.all(prefix=prefix, release=release)
    rows = [(flag["key"], *flags_view.state(flag)) for flag in body["flags"]]
    text = output.table(("FLAG", "STATE", "LIMITS", "RELEASE", "OWNER"), rows)
    flags_view.warn_if_stale(body)
    output.data(body, text)


@command.command("show")
@click.argument("key")
@output.colour_option
@output.json_option
@click.pass_obj
def show_one(session: Session, key: str, colour: str | None) -> None:
    """All fields of the flag KEY."""
    with session.flags(colour) as client:
        flag = client.existing(key)
    flags_view.warn_if_stale(flag)
    output.data(flag, json.dumps(flag, indent=2))


@command.command("history")
@click.argument("key", required=False)
@output.limit_option
@output.colour_option
@output.json_option
@click.pass_obj
def history(session: Session, key: str | None, limit: int, colour: str | None) -> None:
    """Who changed the flag KEY, or any flag, and how; the newest change first."""
    with session.flags(colour) as client:
        changes = client.history(key, limit)
    rows = [
        (
            change["id"],
            flags_view.when(change["at"]),
            change["actor"],
            change["action"],
            flags_view.difference(change),
        )
        for change in changes
    ]
    text = output.table(("CHANGE", "WHEN", "WHO", "WHAT", "HOW"), rows)
    output.data({"changes": changes}, text)


@command.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@output.colour_option
@click.pass_obj
def export(session: Session, file: Path | None, colour: str | None) -> None:
    """Write all flags as JSON to FILE, or to the standard output."""
    with session.flags(colour) as client:
        body = client.export()
    flags_view.warn_if_stale(body)
    text = json.dumps({"flags": body["flags"]}, indent=1, sort_keys=True) + "\n"
    if file is None:
        click.echo(text, nl=False)
    else:
        from mina_ops import files

        files.write(file, text)
        output.say(f"{len(body['flags'])} flags written to {file}")


@command.command("report")
@click.option(
    "--days",
    type=click.FloatRange(0),
    default=30,
    show_default=True,
    help="A flag that did not change for so long is settled.",
)
@output.colour_option
@output.json_option
@click.pass_obj
def report(session: Session, days: float, colour: str | None) -> None:
    """Flags to look at: expired, settled for DAYS, without an owner, asked for in vain."""
    with session.flags(colour) as client:
        found = client.report(days)
    rows = [(f["key"], f["kind"], f["detail"], f["owner"] or "") for f in found]
    text = output.table(("FLAG", "KIND", "DETAIL", "OWNER"), rows)
    output.data({"findings": found}, text)


for _change in flags_change.COMMANDS:
    command.add_command(_change)
