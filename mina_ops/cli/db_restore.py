"""`mina-ops db restore`: a whole backup, or one table of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mina_ops.cli import database as shared
from mina_ops.cli import output
from mina_ops.cli.session import Session
from mina_ops.operator.system.signals import unwinding

if TYPE_CHECKING:
    from mina_ops.operator.database.backup.restore import Restored
    from mina_ops.operator.database.backup.restore_table import TableRestored
    from mina_ops.operator.database.connection.connect import Database


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--to-env", metavar="NAME", help="Variable with the target's URL.")
@click.option("--table", help="Bring back this table alone, by primary key.")
@click.option("--exact", is_flag=True, help="With --table: also remove rows that came later.")
@click.option("--force", metavar="NAME", help="Over the database NAME, though it is in use.")
@click.option("--trust-code", is_flag=True, help="Run what lesser roles wrote into it.")
@click.option("--no-owner", is_flag=True, help="Leave owners and rights out.")
@output.dry_run_option
@output.json_option
@click.pass_obj
def restore(
    session: Session,
    file: Path,
    to_env: str | None,
    table: str | None,
    exact: bool,
    force: str | None,
    trust_code: bool,
    no_owner: bool,
    dry_run: bool,
) -> None:
    """Restore FILE into another database, in one transaction.

    The target is RESTORE_DATABASE_URL unless --to-env says otherwise; with --table it is
    DATABASE_URL, since one table comes back to where it was. A database in use, by whatever name
    it is reached, is refused unless --force says its name, and is backed up first then.
    """
    from mina_ops.errors import ConfigurationError
    from mina_ops.operator.database.backup import restore as restoring
    from mina_ops.operator.database.backup import restore_table as tables
    from mina_ops.operator.database.backup.readiness import Choices
    from mina_ops.operator.database.connection import connect

    chosen = shared.options(session)
    if exact and not table:
        raise ConfigurationError("--exact goes with --table.")
    target = connect.from_variable(to_env or (chosen.url_env if table else chosen.restore_env))
    protected = [
        connect.from_variable(name)
        for name in (chosen.url_env, chosen.production_env)
        if os.environ.get(name)
    ]
    if dry_run:
        restoring.check(file)
        what = f"the table {table} of {file}" if table else str(file)
        value = {"dry_run": True, "file": str(file), "target": target.name, "table": table}
        output.data(value, f"Would restore {what} into {target.name}.")
        return
    with unwinding():
        if table:
            done = tables.restore_table(file, table, target, exact=exact, trust_code=trust_code)
            _tell_table(file, table, target, done)
            return
        choices = Choices(force=force, trust_code=trust_code, owners=not no_owner)
        came = restoring.restore(
            file, target, protected=protected, choices=choices, safety_folder=chosen.folder
        )
    _tell(file, target, came)


def _tell_table(file: Path, table: str, target: Database, done: TableRestored) -> None:
    value = {"file": str(file), "target": target.name, "table": table, "rows": done.rows}
    value |= {"remarks": list(done.remarks)}
    text = f"{done.rows} rows of {table} were brought back in {target.name}."
    output.data(value, "\n".join([text, *done.remarks]))


def _tell(file: Path, target: Database, came: Restored) -> None:
    from mina_ops.operator.database.connection.errors import FaultsFound

    value = {"file": str(file), "target": target.name, "differences": list(came.differences)}
    value |= {"remarks": list(came.remarks)}
    text = f"{file} is restored into {target.name}" + (
        f", but: {'; '.join(came.differences)}" if came.differences else "; every row is as it was."
    )
    output.data(value, "\n".join([text, *came.remarks]))
    if came.differences:
        raise FaultsFound("The restored rows are not those of the manifest.")
