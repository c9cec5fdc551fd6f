"""Alembic's environment for the demo's own tables; run by Flask-Migrate (`flask db upgrade`)."""

from __future__ import annotations

from typing import Any

from alembic import context
from flask import current_app

from mina_ops.app.downgrade_guard import refuse_downgrade

# mina_ops' own tables have their own Alembic tree and are none of this one's business.
_FOREIGN_PREFIX = "mina_ops_"


def _is_ours(_object: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
    return kind != "table" or not (name or "").startswith(_FOREIGN_PREFIX)


def _configure(**target: Any) -> None:
    migrate = current_app.extensions["migrate"]
    context.configure(
        target_metadata=migrate.db.metadata,
        include_object=_is_ours,
        **{**migrate.configure_args, **target},
    )
    with context.begin_transaction():
        context.run_migrations()


refuse_downgrade(context)
if context.is_offline_mode():
    url = current_app.extensions["migrate"].db.engine.url
    _configure(url=url, literal_binds=True)
else:
    with current_app.extensions["migrate"].db.engine.connect() as connection:
        _configure(connection=connection)
