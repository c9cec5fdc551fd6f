"""`mina-ops rollback`: the newest release, also a finished one, is taken back."""

from __future__ import annotations

import click

from mina_ops.cli import output
from mina_ops.cli.release import take_back
from mina_ops.cli.session import Session


@click.command(name="rollback")
@click.option("--why", default="", help="Said to people and kept in the journal.")
@output.json_option
@click.pass_obj
def command(session: Session, why: str, as_json: bool) -> None:
    """Take the newest release back, running or done: traffic to the colour before, flags off.

    Exits 5 when traffic is back, 7 when it could not be brought back.
    """
    take_back(session, why, as_json, done_too=True)
