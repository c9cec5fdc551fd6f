"""The check `database`: whether the app's database answers, and whether it takes writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mina_ops.app.database.connection import OwnConnection
from mina_ops.app.health.model import Check

if TYPE_CHECKING:
    from sqlalchemy import Connection

DEADLINE_SECONDS = 3.0
_WORDS = ("connected", "disconnected")
_READ_ONLY = {
    # On for a standby, too.
    "postgresql": "SELECT current_setting('transaction_read_only') = 'on'",
    "mysql": "SELECT @@global.read_only",
    "mariadb": "SELECT @@global.read_only",
}


def database_check(own: OwnConnection, *, ttl_seconds: float) -> Check:
    """A statement over our own connection; disabled without a database.

    A standby, or a server that was set to read only, is connected and says `"read_only": true`:
    whether the host can do with it only the host knows.
    """
    common: dict[str, Any] = {"name": "database", "words": _WORDS, "aliases": ("db",)}
    if not own.exists():
        return Check(run=None, **common)

    def ask() -> dict[str, bool]:
        read_only = own.use(_ask, seconds=DEADLINE_SECONDS - 1)
        return {"read_only": True} if read_only else {}

    return Check(
        run=ask,
        deadline_seconds=DEADLINE_SECONDS,
        ttl_seconds=ttl_seconds,
        cancel=own.abort,
        asked_by_few=True,
        **common,
    )


def _ask(connection: Connection) -> bool:
    statement = _READ_ONLY.get(connection.dialect.name, "SELECT 0")
    return bool(connection.exec_driver_sql(statement).scalar_one())
