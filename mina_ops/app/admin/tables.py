"""Our own tables in the host's database, with their own Alembic tree and version table."""

from __future__ import annotations

from flask import current_app

from mina_ops import shipped
from mina_ops.errors import ConfigurationError


def upgrade() -> str:
    """Bring the tables to the newest form, in the database of the current app; idempotent.

    Returns:
        The revision that the tables have now.

    Raises:
        ConfigurationError: the app has no Flask-SQLAlchemy object, or Alembic is missing.
    """
    db = current_app.extensions.get("sqlalchemy")
    if db is None:
        raise ConfigurationError("This app has no Flask-SQLAlchemy object, so no tables of ours.")
    from alembic import command
    from alembic.config import Config
    from alembic.migration import MigrationContext

    config = Config()
    config.set_main_option("script_location", str(shipped.folder("migrations")).replace("%", "%%"))
    with db.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        options = {"version_table": "mina_ops_alembic_version"}
        found = MigrationContext.configure(connection, opts=options).get_current_revision()
    return f"The tables of mina_ops are at {found}."
