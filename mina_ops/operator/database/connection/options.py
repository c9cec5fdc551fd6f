"""The table `[database]` of mina-ops.toml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mina_ops.operator.config.tables import Table


@dataclass(frozen=True)
class DatabaseOptions:
    """Where the database, its backups and its migrations are.

    Attributes:
        url_env: the variable with the URL of the database that both colours use.
        production_env: the variable with the production URL, if it is another one.
        restore_env: the variable with the URL that a restore goes to.
        folder: where backups and what was taken offline are kept.
        migrations: the host's Alembic folder, with `versions` in it.
        version_table: the table in which Alembic keeps the revision.
        copy: a command that copies a backup away; `{file}`, `{name}` and `{date}` are replaced.
        references: columns that point at another table without a foreign key, each as
            "segments.session_id -> sessions.id".
        ignore: columns that look like such a reference and are none, as "calls.external_id".
        mapped: a file, for each colour, with the columns that its code maps; see `db mapped`.
        timeouts_set: migrations get lock and statement timeouts from elsewhere (the role).
    """

    url_env: str = "DATABASE_URL"
    production_env: str = "PRODUCTION_DATABASE_URL"
    restore_env: str = "RESTORE_DATABASE_URL"
    folder: Path = Path("backups")
    migrations: Path = Path("migrations")
    version_table: str = "alembic_version"
    copy: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    mapped: Path | None = None
    timeouts_set: bool = False


def read(table: Table) -> DatabaseOptions:
    """The options in the table; an absent table is the defaults.

    Raises:
        ConfigurationError: a key is unknown or of the wrong type.
    """
    default = DatabaseOptions()
    options = DatabaseOptions(
        url_env=table.text("url_env", default.url_env),
        production_env=table.text("production_env", default.production_env),
        restore_env=table.text("restore_env", default.restore_env),
        folder=table.path("folder", default.folder),
        migrations=table.path("migrations", default.migrations),
        version_table=table.text("version_table", default.version_table),
        copy=table.texts("copy", default.copy),
        references=table.texts("references", default.references),
        ignore=table.texts("ignore", default.ignore),
        mapped=table.path("mapped", None),
        timeouts_set=table.flag("timeouts_set", default.timeouts_set),
    )
    table.done()
    return options
