"""`mina-ops db check | verdict | analyse-failure | mapped`: migrations and both colours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mina_ops.cli import optional, output
from mina_ops.cli.session import Session

if TYPE_CHECKING:
    from mina_ops.operator.database.connection.options import DatabaseOptions

_FOLDER = click.option("--migrations", type=click.Path(path_type=Path), help="Alembic's folder.")
_URL = click.option("--url-env", metavar="NAME", help="Variable with the database's URL.")


def _options(session: Session) -> DatabaseOptions:
    from mina_ops.operator.database.connection import options

    return options.read(optional.table(session, "database"))


@click.command()
@click.option("--from", "lower", metavar="REVISION", help="Judge what follows; default: current.")
@click.option("--to", "upper", metavar="REVISION", help="Up to here; default: the head.")
@click.option(
    "--mapped",
    "mapped_file",
    type=click.Path(path_type=Path, exists=True),
    help="What the running code maps; see `db mapped`.",
)
@click.option("--dialect", type=click.Choice(["postgresql", "sqlite"]), help="Without a database.")
@click.option("--reviewed", multiple=True, metavar="REVISION", help="Judged by hand; repeatable.")
@click.option("--rules-only", is_flag=True, help="Do not try them in a scratch copy.")
@click.option("--bind", default="", metavar="NAME", help="Which database of a --multidb host.")
@_FOLDER
@_URL
@output.json_option
@click.pass_obj
def check(
    session: Session,
    lower: str | None,
    upper: str | None,
    mapped_file: Path | None,
    dialect: str | None,
    reviewed: tuple[str, ...],
    rules_only: bool,
    bind: str,
    migrations: Path | None,
    url_env: str | None,
    as_json: bool,
) -> None:
    """Is the coming migration compatible with the code that is running?

    Runs the migrations between the database's revision and the head in a scratch copy of its
    schema, under a role without rights, and looks at what they do. Beside it the rules judge the
    SQL that Alembic makes of them; alone with --from, --dialect or --rules-only. Exit code 11 if
    one would break or block the running code.
    """
    from mina_ops.operator.database.connection import connect
    from mina_ops.operator.database.connection.errors import FaultsFound
    from mina_ops.operator.database.migrations import checking, facts, revisions

    chosen = _options(session)
    at: list[str] = [lower] if lower else []
    found_there = database = None
    if lower is None and dialect is None:
        database = connect.from_variable(url_env or chosen.url_env)
        with database.connect() as connection:
            at = revisions.current(connection, chosen.version_table)
            found_there = facts.read(connection)
        dialect = database.kind
    asked = checking.Question(
        migrations or chosen.migrations,
        at,
        upper,
        mapped_file or chosen.mapped,
        dialect or "postgresql",
        chosen.version_table,
        chosen.timeouts_set,
        reviewed,
        bind,
    )
    found = checking.check(asked, facts=found_there, database=None if rules_only else database)
    output.data(found.as_json(), found.as_text(), as_json=as_json)
    if not found.compatible:
        raise FaultsFound("The coming migrations are not safe beside the running code.")


@click.command()
@click.option("--old", default="blue", show_default=True, help="The colour that served before.")
@click.option("--new", default="green", show_default=True, help="The colour being released.")
@click.option("--old-head", metavar="REVISION", help="What the old code was written for.")
@click.option("--new-head", metavar="REVISION", help="Default: the head of the migrations.")
@click.option("--mapped", "mapped_file", type=click.Path(path_type=Path, exists=True))
@_FOLDER
@_URL
@output.json_option
@click.pass_obj
def verdict(
    session: Session,
    old: str,
    new: str,
    old_head: str | None,
    new_head: str | None,
    mapped_file: Path | None,
    migrations: Path | None,
    url_env: str | None,
    as_json: bool,
) -> None:
    """After a failed migration: roll back traffic, freeze, or fix forward?

    Decides from where the database is, which revisions each colour's code runs on, and what is
    half done or damaged. Changes nothing. The old code's revision is asked of the colour itself
    unless --old-head names it.
    """
    from mina_ops.operator.database.connection import connect
    from mina_ops.operator.database.migrations import checking

    chosen = _options(session)
    database = connect.from_variable(url_env or chosen.url_env)
    found = checking.decide(
        database,
        migrations or chosen.migrations,
        optional.colours(session),
        old=old,
        new=new,
        old_head=old_head,
        new_head=new_head,
        mapped_file=mapped_file or chosen.mapped,
        version_table=chosen.version_table,
    )
    value = {"decision": found.decision.value, "reason": found.reason, "steps": list(found.steps)}
    lines = [f"{found.decision.value.upper()}: {found.reason}."]
    lines += [f"  {number}. {step}" for number, step in enumerate(found.steps, 1)]
    output.data(value, "\n".join(lines), as_json=as_json)


@click.command(name="analyse-failure")
@click.option("--include-timeline", is_flag=True, help="Also commits, backups and releases.")
@_FOLDER
@_URL
@output.dry_run_option
@output.json_option
@click.pass_obj
def failure(
    session: Session,
    include_timeline: bool,
    migrations: Path | None,
    url_env: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Where a failed migration stopped, what is half done, and who holds locks. Reads only."""
    from mina_ops.operator.database.connection import connect
    from mina_ops.operator.database.migrations import checking
    from mina_ops.operator.database.migrations import failure as failures

    chosen = _options(session)
    database = connect.from_variable(url_env or chosen.url_env)
    folder = migrations or chosen.migrations
    if dry_run:
        value = {"dry_run": True, "database": database.name, "migrations": str(folder)}
        output.data(value, f"Would read {database.name} and {folder}.", as_json=as_json)
        return
    lines = None
    if include_timeline:
        journal = checking.release_events(optional.settings(session))
        lines = failures.timeline(folder, chosen.folder, journal)
    found = failures.analyse(database, folder, version_table=chosen.version_table, timeline=lines)
    output.data(found.as_json(), found.as_text(), as_json=as_json)


@click.command()
@click.argument("code", metavar="MODULE:NAME")
def mapped(code: str) -> None:
    """Write down which columns a release's code maps, as JSON on stdout.

    MODULE:NAME is a Flask-SQLAlchemy `db`, a declarative base or a MetaData. Run it in the
    release's own environment:  mina-ops db mapped myapp.models:db > mapped/v2.4.5.json
    """
    from mina_ops.operator.database.migrations import mapped as mapping

    click.echo(mapping.of_code(code).as_json(), nl=False)
