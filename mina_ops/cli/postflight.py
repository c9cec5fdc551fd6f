"""`mina-ops postflight`: the playbook's lists after a release."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from mina_ops.cli import checklists, database, output
from mina_ops.cli.session import Session


@click.command(name="postflight")
@click.option(
    "--within", type=click.Choice(["1h", "24h", "1w"]), required=True, help="Which of the lists."
)
@click.option("--done", multiple=True, metavar="ITEM", help="Tick an item off; repeatable.")
@output.json_option
@click.pass_obj
def command(session: Session, within: str, done: tuple[str, ...]) -> None:
    """What the playbook asks for within an hour, a day or a week after the last release.

    Figures are held against the baseline that the release recorded before it began. What only
    people can do is a reminder until it is ticked off. Exit code 11 if something is left.
    """
    from mina_ops.operator.checklist import postflight
    from mina_ops.operator.checklist.ticks import Ticks
    from mina_ops.operator.database.connection.errors import FaultsFound

    settings, options = session.settings, database.options(session)
    release = postflight.last_release(settings)
    flight = postflight.Postflight(
        settings,
        release,
        settings.section("postflight").fill(postflight.PostflightOptions),
        options,
        datetime.now(UTC),
    )
    ticked = Ticks(options.folder, "postflight", release.version)
    heading = f"Within {within} of {release.version} on {release.new} ({release.at:%F %H:%M} UTC)"
    if not checklists.show(heading, flight.items(within), ticked, done):
        raise FaultsFound(f"Something is left to do after {release.version}.")
