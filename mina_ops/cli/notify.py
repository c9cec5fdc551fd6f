"""`mina-ops notify`: tell people something, over the channels of mina-ops.toml."""

from __future__ import annotations

from dataclasses import asdict

import click

from mina_ops.cli import optional, output
from mina_ops.cli.session import Session


@click.command(name="notify")
@click.argument("event")
@click.argument("text", default="")
@click.option("--deadline", type=click.FloatRange(0.1, 120), metavar="S", help="Within S seconds.")
@output.dry_run_option
@output.json_option
@click.pass_obj
def command(session: Session, event: str, text: str, deadline: float | None, dry_run: bool) -> None:
    """Tell every channel that hears of EVENT (rollback, alert, release, ...) the TEXT.

    The event `drill` goes to every channel, whatever it hears of, and needs no TEXT. Exit code 1 if
    a channel was not reached, or a drill has none; never takes longer than the deadline.
    """
    from mina_ops.errors import OperatorError
    from mina_ops.operator.notify import channels as notify
    from mina_ops.operator.system.people import whoami

    drill = event == notify.DRILL
    if not text.strip():
        if not drill:
            raise click.UsageError("TEXT is empty.")
        text = f"This is a drill by {whoami()}: nothing happened, nothing is to be done."
    notifier = notify.from_table(optional.table(session, "notify"))
    if drill and not notifier.channels:
        raise OperatorError(
            "Nobody would be called: no channel is set up. Add [notify.channels.NAME] to "
            "mina-ops.toml; see docs/emergency.md."
        )
    heard = [channel.name for channel in notifier.channels if channel.hears(event)]
    if dry_run:
        names = ", ".join(heard) or "nobody (no channel is set up)"
        output.data({"dry_run": True, "channels": heard}, f"Would tell {names}.")
        return
    deliveries = notifier.send(event, text, deadline_seconds=deadline)
    lines = [
        f"{item.channel}: {'told' if item.delivered else f'NOT told, {item.problem}'}"
        for item in deliveries
    ]
    text = "\n".join(lines) or "No channel hears of this; see [notify.channels] in mina-ops.toml."
    output.data({"deliveries": [asdict(item) for item in deliveries]}, text)
    missed = [item.channel for item in deliveries if not item.delivered]
    if missed:
        raise OperatorError(f"Not told: {', '.join(missed)}.")
