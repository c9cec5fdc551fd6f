"""`mina-ops smoke`: the playbook's section 2.3 against one colour."""

from __future__ import annotations

import os

import click

from mina_ops.cli import output
from mina_ops.cli.session import Session
from mina_ops.errors import AppUnhealthy


@click.command(name="smoke")
@click.argument("colour")
@output.dry_run_option
@output.json_option
@click.pass_obj
def command(session: Session, colour: str, dry_run: bool) -> None:
    """Walk COLOUR's critical path: a session is made, filled, finalized, shown and removed.

    Which routes that are is the table [smoke] (`mina-ops config keys smoke`). Exits 3 if a step
    fails; the session is removed in any case.
    """
    from mina_ops.operator.checklist import smoke as walks
    from mina_ops.operator.config import smoke

    settings = session.settings
    options = smoke.read(settings.section("smoke"), os.environ)
    found = settings.colour(colour)
    if dry_run:
        lines = walks.as_curl(found.url, options)
        output.data({"dry_run": True, "requests": lines}, "\n".join(lines))
        return
    with session.client(colour) as client:
        walked = walks.Walk(client, options, os.environ.get(options.token_env)).go()
    output.data(walked.to_json(), walked.to_text())
    if not walked.passed:
        raise AppUnhealthy(f"{found.name} does not pass its critical path; see above.")
