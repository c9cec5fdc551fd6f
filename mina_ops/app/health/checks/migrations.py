"""Does the database's revision fit this code?"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Any

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy.engine import URL

from mina_ops.app.health.checks.database import connect_args
from mina_ops.app.health.checks.engine import OwnConnection
from mina_ops.app.health.model import Check, Unhealthy

DEADLINE_SECONDS = 5.0


def migrations_check(app: Flask, url: str | URL | None) -> Check:
    """The database's revision against the head of Flask-Migrate's folder; disabled without it.

    A revision that this code does not know is newer, which is how the old colour sees a
    database that was migrated for the new one: fit, since migrations expand before they contract.
    """
    common: dict[str, Any] = {"name": "migrations", "words": ("current", "behind")}
    migrate = app.extensions.get("migrate")
    if url is None or migrate is None:
        return Check(run=None, **common)
    folder = Path(app.root_path, migrate.directory)
    folder = folder if folder.exists() else Path(migrate.directory)
    own = OwnConnection(url, statement_seconds=DEADLINE_SECONDS - 1, connect_args=connect_args(app))

    # What the code knows does not change while the process lives.
    revisions = cache(partial(_revisions, folder))

    def compare() -> dict[str, Any]:
        heads, known = revisions()
        found = set(own.use(lambda link: MigrationContext.configure(link).get_current_heads()))
        data = {"revision": _shown(found), "head": _shown(heads)}
        if found == heads or found - known:
            return {**data, "ahead": bool(found - known)}
        raise Unhealthy(
            f"the database is at {data['revision']}, the code needs {data['head']}: "
            "run `flask db upgrade`",
            data=data,
        )

    return Check(
        run=compare,
        deadline_seconds=DEADLINE_SECONDS,
        ttl_seconds=15.0,
        native=True,
        cancel=own.abort,
        **common,
    )


def _revisions(folder: Path) -> tuple[set[str], set[str]]:
    """The heads, and all revisions that this code knows."""
    scripts = ScriptDirectory(str(folder))
    return set(scripts.get_heads()), {script.revision for script in scripts.walk_revisions()}


def _shown(revisions: set[str]) -> str | None:
    return ",".join(sorted(revisions)) or None
