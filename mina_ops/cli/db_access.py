"""`mina-ops db offline | online`: take everyone's rights on a table, and give them back."""

from __future__ import annotations

import click

from mina_ops.cli import database as shared
from mina_ops.cli import output
from mina_ops.cli.session import Session


@click.command()
@click.argument("table")
@shared.url_option
@output.dry_run_option
@output.json_option
@click.pass_obj
def offline(session: Session, table: str, url_env: str | None, dry_run: bool) -> None:
    """Revoke everyone's rights on TABLE; `db online` gives back exactly these."""
    _turn(session, table, "offline", url_env, dry_run=dry_run)


@click.command()
@click.argument("table")
@shared.url_option
@output.dry_run_option
@output.json_option
@click.pass_obj
def online(session: Session, table: str, url_env: str | None, dry_run: bool) -> None:
    """Give everyone back the rights on TABLE that `db offline` revoked."""
    _turn(session, table, "online", url_env, dry_run=dry_run)


def _turn(session: Session, table: str, state: str, url_env: str | None, *, dry_run: bool) -> None:
    from mina_ops.operator.database.connection import access

    chosen = shared.options(session)
    database = shared.chosen(chosen, url_env)
    if dry_run:
        value = {"dry_run": True, "table": table, "database": database.name}
        output.data(value, f"Would turn {table} of {database.name} {state}.")
        return
    turn = access.take_offline if state == "offline" else access.bring_online
    roles = sorted({grant.role for grant in turn(database, table, chosen.folder)})
    nobody = "nobody; it was already" if state == "offline" else "nobody"
    output.data(
        {"table": table, "roles": roles}, f"{table} is {state} for {', '.join(roles) or nobody}."
    )
