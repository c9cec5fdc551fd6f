"""Alembic's environment of mina_ops' own tables, which live beside a host's.

They have a version table of their own, so neither tree sees the other's revisions. Run by
`flask mina-ops upgrade`, or by Flask-Migrate: `flask db upgrade --directory <this folder>`.
"""

from __future__ import annotations

from typing import Any

from alembic import context

from mina_ops.app.downgrade_guard import refuse_downgrade

VERSION_TABLE = "mina_ops_alembic_version"


def _run(**target: Any) -> None:
    context.configure(version_table=VERSION_TABLE, **target)
    with context.begin_transaction():
        context.run_migrations()


def _engine() -> Any:
    from flask import current_app

    return current_app.extensions["migrate"].db.engine


refuse_downgrade(context)
if context.is_offline_mode():
    _run(url=_engine().url, literal_binds=True)
elif "connection" in context.config.attributes:
    _run(connection=context.config.attributes["connection"])
else:
    with _engine().connect() as found:
        _run(connection=found)
