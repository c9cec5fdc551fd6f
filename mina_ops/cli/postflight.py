"""`mina-ops postflight`: the playbook's lists after a release."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from mina_ops.cli import optional, output
from mina_ops.cli.session import Session


@click.command(name="postflight")
@click.option("--within", type=click.Choice(["1h", "24h", "1w"]), required=True)
@click.option("--done", multiple=True, metavar="ITEM", help="Tick an item off; repeatable.")
@output.json_option
@click.pass_obj
def command(session: Session, within: str, done: tuple[str, ...], as_json: bool) -> None:
    """What the playbook asks for within an hour, a day or a week after the last release.

    Figures are held against the baseline that the release recorded before it began. What only
    people can do is a reminder until it is ticked off. Exit code 11 if something is left.
    """
    from mina_ops.operator.checklist import model, postflight, ticks
    from mina_ops.operator.database.connection import options as database_options
    from mina_ops.operator.database.connection.errors import FaultsFound
    from mina_ops.operator.system.people import whoami

    settings = session.settings
    release = postflight.last_release(settings)
    flight = postflight.Postflight(
        settings,
        release,
        postflight.read(settings.section("postflight")),
        database_options.read(optional.table(session, "database")),
        datetime.now(UTC),
    )
    items = flight.items(within)
    folder = database_options.read(optional.table(session, "database")).folder
    ticked = ticks.Ticks(folder / f"postflight-{release.version.replace('/', '_')}.json")
    if done:
        ticked.tick(done, items, datetime.now(UTC), whoami())
    heading = f"Within {within} of {release.version} on {release.new} ({release.at:%F %H:%M} UTC)"
    found = model.go_through(heading, items, ticked.read())
    output.data(found.as_json(), found.as_text(), as_json=as_json)
    if not found.passed:
        raise FaultsFound(f"Something is left to do after {release.version}.")
