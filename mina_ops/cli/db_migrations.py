"""`mina-ops db check | verdict | analyse-failure | mapped`: migrations and both colours."""

from __future__ import annotations

from pathlib import Path

import click

from mina_ops.cli import database as shared
from mina_ops.cli import optional, output
from mina_ops.cli.session import Session


@click.command()
@click.option("--from", "lower", metavar="REVISION", help="Judge what follows; default: current.")
@click.option("--to", "upper", metavar="REVISION", help="Up to here; default: the head.")
@shared.mapped_option
@click.option("--dialect", type=click.Choice(["postgresql", "sqlite"]), help="Without a database.")
@click.option("--reviewed", multiple=True, metavar="REVISION", help="Judged by hand; repeatable.")
@click.option("--rules-only", is_flag=True, help="Do not try them in a scratch copy.")
@click.option("--bind", default="", metavar="NAME", help="Which database of a --multidb host.")
@shared.migrations_option
@shared.url_option
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
) -> None:
    """Is the coming migration compatible with the code that is running?

    Runs the migrations between the database's revision and the head in a scratch copy of its
    schema, under a role without rights, and looks at what they do. Rules judge the SQL that Alembic
    makes of them as well; with --from, --dialect or --rules-only there is no copy, and rules alone
    judge. Exit code 11 if one would break or block the running code.
    """
    from mina_ops.operator.database.connection.errors import FaultsFound
    from mina_ops.operator.database.migrations import checking, facts, revisions

    chosen = shared.options(session)
    at: list[str] = [lower] if lower else []
    found_there = database = None
    if lower is None and dialect is None:
        database = shared.chosen(chosen, url_env)
        with database.connect() as connection:
            at = revisions.current(connection, chosen.version_table)
            found_there = facts.read(connection)
        dialect = database.kind
    asked = checking.Question(
        migrations or chosen.migrations,
        at,
        upper,
        mapped_file=mapped_file or chosen.mapped,
        dialect=dialect or "postgresql",
        version_table=chosen.version_table,
        timeouts_set=chosen.timeouts_set,
        reviewed=reviewed,
        bind=bind,
    )
    found = checking.check(asked, facts=found_there, database=None if rules_only else database)
    output.data(found.to_json(), found.to_text())
    if not found.compatible:
        raise FaultsFound("The coming migrations are not safe beside the running code.")


@click.command()
@click.option("--old", default="blue", show_default=True, help="The colour that served before.")
@click.option("--new", default="green", show_default=True, help="The colour being released.")
@click.option("--old-head", metavar="REVISION", help="What the old code was written for.")
@click.option("--new-head", metavar="REVISION", help="Default: the head of the migrations.")
@shared.mapped_option
@shared.migrations_option
@shared.url_option
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
) -> None:
    """After a failed migration: roll back traffic, freeze, or fix forward?

    Decides from where the database is, which revisions each colour's code runs on, and what is
    half done or damaged. Changes nothing. The old code's revision is asked of the colour itself
    unless --old-head names it.
    """
    from mina_ops.operator.database.migrations import checking

    chosen = shared.options(session)
    database = shared.chosen(chosen, url_env)
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
    output.data(value, "\n".join(lines))


@click.command(name="analyse-failure")
@click.option("--include-timeline", is_flag=True, help="Also commits, backups and releases.")
@shared.migrations_option
@shared.url_option
@output.dry_run_option
@output.json_option
@click.pass_obj
def failure(
    session: Session,
    include_timeline: bool,
    migrations: Path | None,
    url_env: str | None,
    dry_run: bool,
) -> None:
    """Where a failed migration stopped, what is half done, and who holds locks. Reads only."""
    from mina_ops.operator.database.migrations import checking
    from mina_ops.operator.database.migrations import failure as failures

    chosen = shared.options(session)
    database = shared.chosen(chosen, url_env)
    folder = migrations or chosen.migrations
    if dry_run:
        value = {"dry_run": True, "database": database.name, "migrations": str(folder)}
        output.data(value, f"Would read {database.name} and {folder}.")
        return
    lines = None
    if include_timeline:
        journal = checking.release_events(optional.settings(session))
        lines = failures.timeline(folder, chosen.folder, journal)
    found = failures.analyse(database, folder, version_table=chosen.version_table, timeline=lines)
    output.data(found.to_json(), found.to_text())


@click.command()
@click.argument("code", metavar="MODULE:NAME")
def mapped(code: str) -> None:
    """Write down which columns a release's code maps, as JSON on stdout.

    MODULE:NAME is a Flask-SQLAlchemy `db`, a declarative base or a MetaData. Run it in the
    release's own environment:  mina-ops db mapped myapp.models:db > mapped/v2.4.5.json
    """
    from mina_ops.operator.database.migrations import mapped as mapping

    click.echo(mapping.of_code(code).to_text(), nl=False)
