"""`mina-ops rollback`: traffic back to the colour before."""

from __future__ import annotations

import click

from mina_ops.cli import output
from mina_ops.cli.session import Session
from mina_ops.cli.taking_back import show_take_back, take_back


@click.command(name="rollback")
@click.option("--why", default="", help="Said to people and kept in the journal.")
@click.option("--to", "to", metavar="COLOUR", help="Send everybody there, whatever journals say.")
@click.option("--force", is_flag=True, help="Even if that colour runs another version than before.")
@click.option("--flags", is_flag=True, help="Set flags back that were changed during the release.")
@output.dry_run_option
@output.json_option
@click.pass_obj
def command(
    session: Session, why: str, to: str | None, force: bool, flags: bool, dry_run: bool
) -> None:
    """Take the release back that has the traffic, running or done: traffic back, flags off.

    Needs the load balancer alone: a typo in the plan, a channel without its address, a full disk,
    a controller that is stopped or runs elsewhere do not keep it from going back. Exits 0 when
    traffic is back, 2 when there is nothing to take back, 7 when it could not be brought back (or,
    with --dry-run, could not now).
    """
    from mina_ops.operator.release.way_back import Wish

    wish = Wish(why=why, done_too=True, force=force, to=to)
    if dry_run:
        show_take_back(session, wish)
        return
    take_back(session, wish, flags=flags)
