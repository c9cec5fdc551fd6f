"""The table `[database]` of mina-ops.toml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mina_ops.fields import FLAG, PATH, TEXT, TEXTS, setting


@dataclass(frozen=True)
class DatabaseOptions:
    """Where the database, its backups and its migrations are."""

    # fmt: off
    url_env: str = setting("DATABASE_URL", TEXT,
        "Variable with the URL of the database that both colours use.")
    production_env: str = setting("PRODUCTION_DATABASE_URL", TEXT,
        "Variable with the production URL, if it is another one.")
    restore_env: str = setting("RESTORE_DATABASE_URL", TEXT,
        "Variable with the URL that a restore goes to.")
    folder: Path = setting(Path("backups"), PATH,
        "Where backups and what was taken offline are kept.")
    migrations: Path = setting(Path("migrations"), PATH,
        "The host's Alembic folder, with `versions` in it.")
    version_table: str = setting("alembic_version", TEXT,
        "The table in which Alembic keeps the revision.")
    copy: tuple[str, ...] = setting((), TEXTS,
        "A command that copies a backup away; `{file}`, `{name}` and `{date}` are replaced.")
    references: tuple[str, ...] = setting((), TEXTS,
        'Columns that point at another table without a foreign key, each as '
        '`"segments.session_id -> sessions.id"`.')
    ignore: tuple[str, ...] = setting((), TEXTS,
        'Columns that look like such a reference and are none, as `"calls.external_id"`.')
    mapped: Path | None = setting(None, PATH,
        "A file, for each colour, with the columns that its code maps; see `db mapped`.")
    timeouts_set: bool = setting(False, FLAG,
        "Migrations get lock and statement timeouts from elsewhere (the role).")
    # fmt: on
