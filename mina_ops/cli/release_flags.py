"""`mina-ops release restore-flags`: what others changed while a release ran, set back."""

from __future__ import annotations

from contextlib import closing

import click

from mina_ops.cli import output
from mina_ops.cli.session import Session


@click.command("restore-flags")
@click.argument("release_id", metavar="[ID]", required=False)
@output.dry_run_option
@output.json_option
@click.pass_obj
def restore_flags(session: Session, release_id: str | None, dry_run: bool) -> None:
    """Set flags that were changed during a release back to exactly what they were before.

    ID is that of `release history`; default: the newest. Flags that are new go off. Moves no
    traffic, and leaves the flags alone that the release itself owns.
    """
    from mina_ops.operator.release import flags, journal, opening, way_back
    from mina_ops.operator.release.release import Site

    site = Site(session.settings, session.driver)
    plan = way_back.lenient_plan(site, output.say)
    found = journal.named(plan.folder, release_id)
    tell = way_back.lenient_teller(site, output.say)
    with closing(opening.reopen(site, found, plan, tell)) as release:
        changes = flags.changes(release)
        done = [one.describe() for one in changes] if dry_run else flags.set_back(release)
    text = "\n".join(done) or "No flag was changed during the release."
    keys = [change.key for change in changes]
    output.data({"dry_run": dry_run, "flags": keys}, text)
