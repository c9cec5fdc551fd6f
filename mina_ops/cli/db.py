"""`mina-ops db`: backup and restore, integrity, and whether migrations suit both colours."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mina_ops.cli import database as shared
from mina_ops.cli import output
from mina_ops.cli.db_access import offline, online
from mina_ops.cli.db_migrations import check, failure, mapped, verdict
from mina_ops.cli.db_restore import restore
from mina_ops.cli.session import Session
from mina_ops.operator.system.signals import unwinding

if TYPE_CHECKING:
    from mina_ops.operator.database.connection.options import DatabaseOptions
    from mina_ops.operator.database.integrity.expectations import Expectations


@click.group(name="db")
def command() -> None:
    """The database of both colours.

    A database is named by an environment variable that holds its URL, never by the URL itself,
    which every process list would show. The default is DATABASE_URL.
    """


for _command in (restore, check, verdict, failure, mapped, offline, online):
    command.add_command(_command)


_manifest_option = click.option(
    "--manifest",
    "manifest_of",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Compare with the rows of the backup FILE.",
)


@command.command()
@click.option("--output", "file", type=click.Path(path_type=Path), help="File to write.")
@click.option("--no-prove", is_flag=True, help="Leave out the restore into a scratch database.")
@click.option("--no-copy", is_flag=True, help="Do not run the copy command of mina-ops.toml.")
@shared.url_option
@output.dry_run_option
@output.json_option
@click.pass_obj
def backup(
    session: Session,
    file: Path | None,
    no_prove: bool,
    no_copy: bool,
    url_env: str | None,
    dry_run: bool,
) -> None:
    """Back the database up and prove it: dump, list, restore into scratch, compare every row."""
    from mina_ops.operator.database.backup import backup as backups

    chosen = shared.options(session)
    database = shared.chosen(chosen, url_env)
    target = (file or chosen.folder / backups.file_name(datetime.now(UTC))).absolute()
    if dry_run:
        steps = ["dump", "list"] + ([] if no_prove else ["restore into a scratch database"])
        steps += [] if no_copy or not chosen.copy else [f"copy with {chosen.copy[0]}"]
        value = {"dry_run": True, "database": database.name, "file": str(target), "steps": steps}
        text = f"Would back up {database.name} to {target}: {', '.join(steps)}."
        output.data(value, text)
        return
    shared.warn_of_superuser(database)
    with unwinding():
        made = backups.make(
            database,
            target,
            prove=not no_prove,
            version_table=chosen.version_table,
            copy=() if no_copy else chosen.copy,
        )
    proof = "restored into a scratch database, every row alike" if made.restored else "NOT proven"
    if made.unproven:
        proof += f", but not tried: {'; '.join(made.unproven)}"
    value = {"file": str(target), "bytes": made.bytes, "sha256": made.sha256}
    value |= {"rows": made.rows, "revision": made.revision, "proven": made.restored}
    value |= {"unproven": list(made.unproven)}
    text = f"{target}\n{made.bytes} bytes, {made.rows} rows in {len(made.tables)} tables; {proof}."
    output.data(value, text)


def _expectations(
    chosen: DatabaseOptions, manifest_of: Path | None, migrations: Path | None, *, exact: bool
) -> Expectations:
    from mina_ops.errors import ConfigurationError
    from mina_ops.operator.database.backup import manifest
    from mina_ops.operator.database.integrity import expectations

    known = manifest.read(manifest_of) if manifest_of else None
    if manifest_of and known is None:
        raise ConfigurationError(f"{manifest_of} has no manifest beside it.")
    return expectations.Expectations(
        tables=known.tables if known else None,
        exact=exact,
        references=expectations.references(chosen.references),
        ignore=chosen.ignore,
        migrations=migrations or chosen.migrations,
        version_table=chosen.version_table,
    )


@command.command()
@_manifest_option
@click.option("--exact", is_flag=True, help="With --manifest: every row must be as it was.")
@click.option("--only", multiple=True, metavar="CHECK", help="Only this check; repeatable.")
@shared.migrations_option
@click.option(
    "--timeout",
    type=click.IntRange(1),
    default=600,
    show_default=True,
    metavar="SECONDS",
    help="Limit for each statement.",
)
@shared.url_option
@output.dry_run_option
@output.json_option
@click.pass_obj
def integrity(
    session: Session,
    manifest_of: Path | None,
    exact: bool,
    only: tuple[str, ...],
    migrations: Path | None,
    timeout: int,
    url_env: str | None,
    dry_run: bool,
) -> None:
    """Check that the data is whole. Reads only; exit code 11 if a fault is found."""
    from mina_ops.errors import OperatorError
    from mina_ops.operator.database.connection.errors import FaultsFound
    from mina_ops.operator.database.integrity import integrity as checks

    chosen = shared.options(session)
    database = shared.chosen(chosen, url_env)
    expected = _expectations(chosen, manifest_of, migrations, exact=exact)
    if dry_run:
        names = list(only or checks.checks_for(database))
        value = {"dry_run": True, "database": database.name, "checks": names}
        output.data(value, f"Would check {database.name}: {', '.join(names)}.")
        return
    shared.warn_of_superuser(database)
    report = checks.check(database, expected, only=only, statement_seconds=timeout)
    output.data(report.to_json(), report.to_text())
    if report.findings:
        raise FaultsFound(f"{len(report.findings)} faults in {database.name}.")
    if not report.clean:
        raise OperatorError("Some checks could not be made; see above.")


@command.command()
@_manifest_option
@shared.url_option
@output.dry_run_option
@output.json_option
@click.pass_obj
def corruption(
    session: Session, manifest_of: Path | None, url_env: str | None, dry_run: bool
) -> None:
    """How far a corruption goes, and what to type next. Exit code 11 if there is one."""
    from mina_ops.operator.database.connection.errors import FaultsFound
    from mina_ops.operator.database.integrity import corruption as damage

    chosen = shared.options(session)
    database = shared.chosen(chosen, url_env)
    expected = _expectations(chosen, manifest_of, None, exact=False)
    if dry_run:
        value = {"dry_run": True, "database": database.name}
        output.data(value, f"Would analyse {database.name}; it only reads.")
        return
    shared.warn_of_superuser(database)
    found = damage.analyse(database, expected, chosen.folder)
    output.data(found.to_json(), found.to_text())
    if not found.report.clean:
        raise FaultsFound(f"{database.name} is damaged, or could not be checked whole.")
