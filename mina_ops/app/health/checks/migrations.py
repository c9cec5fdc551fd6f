"""The check `migrations`: whether the database's revision fits this code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask

from mina_ops.app.database.connection import OwnConnection
from mina_ops.app.health.model import Check, Unhealthy, Warned

if TYPE_CHECKING:
    from sqlalchemy import Connection

DEADLINE_SECONDS = 5.0
TTL_FACTOR = 3.0
"""Of the interval: revisions change with releases only."""
VERSION_TABLE = "alembic_version"


@dataclass(frozen=True)
class Known:
    """What the code knows: the heads of its migrations, and all its revisions."""

    heads: frozenset[str]
    revisions: frozenset[str]


def migrations_check(app: Flask, own: OwnConnection, *, interval_seconds: float) -> Check:
    """The database's revision against the head of Flask-Migrate's folder; disabled without it.

    A revision that this code does not know is newer, which is how the old colour sees a
    database that was migrated for the new one: fit, since migrations expand before they contract.
    What is odd but says nothing of the schema (tables that no migration made, several heads, no
    folder) is a warning that names the way out. Only the default bind is looked at.
    """
    common: dict[str, Any] = {"name": "migrations", "words": ("current", "behind")}
    migrate = app.extensions.get("migrate")
    if migrate is None or not own.exists():
        return Check(run=None, **common)
    # What the code knows does not change while the process lives.
    known = cache(partial(_known, app, migrate))
    options = dict(getattr(migrate, "configure_args", None) or {})
    table = str(options.get("version_table") or VERSION_TABLE)
    schema = options.get("version_table_schema")

    def compare() -> dict[str, Any]:
        try:
            code = known()
        except Exception as exc:
            raise Warned(f"the migrations cannot be read: {exc}") from exc
        found = own.use(partial(_stamped, table, schema), seconds=DEADLINE_SECONDS - 1)
        return judge(code, found, partial(_has_tables, own, table))

    return Check(
        run=compare,
        deadline_seconds=DEADLINE_SECONDS,
        ttl_seconds=TTL_FACTOR * interval_seconds,
        cancel=own.abort,
        asked_by_few=True,
        of_release=True,
        facts={"unchecked_binds": binds} if (binds := _other_binds(app)) else {},
        **common,
    )


def judge(
    known: Known | None, found: frozenset[str] | None, has_tables: Callable[[], bool]
) -> dict[str, Any]:
    """What to say of the revisions in the database.

    Args:
        known: what the code knows; None: it has no migrations.
        found: what the database is stamped with; None: there is no version table.
        has_tables: whether there are other tables; asked only where that matters.

    Raises:
        Warned: it is odd, but no reason to keep a colour from serving.
        Unhealthy: the database is behind the code.
    """
    if known is None or not known.heads:
        raise Warned("there are no migrations yet: run `flask db init` and `flask db migrate`")
    data = {"revision": _shown(found or frozenset()), "head": _shown(known.heads)}
    if not found and has_tables():
        raise Warned(
            "the tables were not made by migrations, so nothing tells which revision they have: "
            f"if they are those of the code, run `flask db stamp {_target(known)}`",
            data=data,
        )
    found = found or frozenset()
    ahead = bool(found - known.revisions)
    if not ahead and not known.heads & found:
        raise Unhealthy(
            f"the database is at {data['revision']}, the code needs {data['head']}: "
            f"run `flask db upgrade{'' if len(known.heads) == 1 else ' heads'}`",
            data=data,
        )
    if len(known.heads) > 1:
        raise Warned(
            f"the migrations have {len(known.heads)} heads: run `flask db upgrade heads`, and join "
            "them with `flask db merge heads`",
            data=data,
        )
    return {**data, "ahead": ahead}


def _target(known: Known) -> str:
    return "head" if len(known.heads) == 1 else "heads"


def _known(app: Flask, migrate: Any) -> Known | None:
    """The folder's revisions, read as `flask db` reads them, its alembic.ini included."""
    # Here, since most hosts import it for `flask db` only.
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    folder = Path(app.root_path, migrate.directory)
    folder = folder if folder.exists() else Path(migrate.directory)
    if not folder.is_dir():
        return None
    ini = folder / "alembic.ini"
    config = Config(str(ini)) if ini.exists() else Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    revisions = frozenset(script.revision for script in scripts.walk_revisions())
    return Known(frozenset(scripts.get_heads()), revisions)


def _stamped(table: str, schema: str | None, connection: Connection) -> frozenset[str] | None:
    """The revisions of the version table; None without one.

    A schema that only env.py knows is found by looking.
    """
    from sqlalchemy import inspect, text

    look = inspect(connection)
    if not look.has_table(table, schema=schema):
        if schema is not None:
            return None
        owners = [name for name in look.get_schema_names() if look.has_table(table, schema=name)]
        if len(owners) != 1:
            return None
        schema = owners[0]
    quote = connection.dialect.identifier_preparer.quote
    name = quote(table) if schema is None else f"{quote(schema)}.{quote(table)}"
    rows = connection.execute(text(f"SELECT version_num FROM {name}"))  # noqa: S608 (quoted)
    return frozenset(str(row[0]) for row in rows)


def _has_tables(own: OwnConnection, version_table: str) -> bool:
    def look(connection: Connection) -> bool:
        from sqlalchemy import inspect

        names = inspect(connection).get_table_names()
        return any(n != version_table and not n.startswith("mina_ops_") for n in names)

    return own.use(look, seconds=DEADLINE_SECONDS - 1)


def _other_binds(app: Flask) -> list[str]:
    binds = app.config.get("SQLALCHEMY_BINDS") or {}
    return sorted(str(name) for name in binds if name is not None)


def _shown(revisions: frozenset[str]) -> str | None:
    return ",".join(sorted(revisions)) or None
