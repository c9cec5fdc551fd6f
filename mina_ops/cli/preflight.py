"""`mina-ops preflight`: the playbook's checklist before a release."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from mina_ops.cli import optional, output
from mina_ops.cli.session import Session


@click.command(name="preflight")
@click.argument("version")
@click.option("--done", multiple=True, metavar="ITEM", help="Tick an item off; repeatable.")
@click.option("--reviewed", multiple=True, metavar="REVISION", help="Migration judged by hand.")
@output.json_option
@click.pass_obj
def command(
    session: Session,
    version: str,
    done: tuple[str, ...],
    reviewed: tuple[str, ...],
    as_json: bool,
) -> None:
    """Is everything ready for the release VERSION?

    Checks the tag, CI, migrations, staging, flags, notes, database, Redis and the backup. What
    only people know is ticked off with --done. Exit code 11 if something fails or is left.
    """
    from mina_ops.operator.checklist import model, preflight, ticks
    from mina_ops.operator.database.connection import options as database_options
    from mina_ops.operator.database.connection.errors import FaultsFound
    from mina_ops.operator.system.people import whoami

    database = database_options.read(optional.table(session, "database"))
    flight = preflight.Preflight(
        version,
        preflight.read(optional.table(session, "preflight")),
        database,
        optional.settings(session),
        reviewed,
    )
    items = flight.items()
    ticked = ticks.Ticks(database.folder / f"preflight-{version.replace('/', '_')}.json")
    if done:
        ticked.tick(done, items, datetime.now(UTC), whoami())
    found = model.go_through(f"Preflight of {version}", items, ticked.read())
    output.data(found.as_json(), found.as_text(), as_json=as_json)
    if not found.passed:
        raise FaultsFound(f"{version} is not ready to be released.")
