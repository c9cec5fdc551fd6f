"""`mina-ops preflight`: the playbook's checklist before a release."""

from __future__ import annotations

import click

from mina_ops.cli import checklists, database, optional, output
from mina_ops.cli.session import Session


@click.command(name="preflight")
@click.argument("version")
@click.option("--done", multiple=True, metavar="ITEM", help="Tick an item off; repeatable.")
@click.option("--reviewed", multiple=True, metavar="REVISION", help="Migration judged by hand.")
@output.json_option
@click.pass_obj
def command(
    session: Session, version: str, done: tuple[str, ...], reviewed: tuple[str, ...]
) -> None:
    """Is everything ready for the release VERSION?

    Checks the tag, CI, migrations, staging, flags, notes, database, Redis and the backup. What
    only people know is ticked off with --done. Exit code 11 if something fails or is left.
    """
    from mina_ops.operator.checklist.preflight import Preflight, PreflightOptions
    from mina_ops.operator.checklist.ticks import Ticks
    from mina_ops.operator.database.connection.errors import FaultsFound

    options = database.options(session)
    flight = Preflight(
        version,
        optional.table(session, "preflight").fill(PreflightOptions),
        options,
        optional.settings(session),
        reviewed,
    )
    ticked = Ticks(options.folder, "preflight", version)
    heading = f"Preflight of {version}"
    if not checklists.show(heading, flight.items(), ticked, done):
        raise FaultsFound(f"{version} is not ready to be released.")
