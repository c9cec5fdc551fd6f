"""`mina-ops audit`: who changed what, and when."""

from __future__ import annotations

import json
from typing import Any

import click

from mina_ops.cli import flags_view, output
from mina_ops.cli.session import Session


@click.command(name="audit")
@output.limit_option
@output.colour_option
@output.json_option
@click.pass_obj
def command(session: Session, limit: int, colour: str | None) -> None:
    """The newest entries of the audit log. Needs an admin's token."""
    with session.flags(colour) as client:
        entries = client.audit(limit)
    rows = [
        (flags_view.when(e["at"]), e["actor"], e["action"], e["subject"], _brief(e["after"]))
        for e in entries
    ]
    text = output.table(("WHEN", "WHO", "WHAT", "TO", "AFTER"), rows)
    output.data({"entries": entries}, text)


def _brief(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 100 else text[:97] + "..."
