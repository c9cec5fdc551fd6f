"""Take a table offline for everyone but its owner's administrators, and back exactly as it was.

What each role had is kept in a file until it is given back; a second `take_offline` does not
overwrite it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mina_ops import files
from mina_ops.errors import AccessDenied, ConfigurationError, OperatorError
from mina_ops.operator.database.connection.connect import Database, rows

_GRANTS = """
SELECT coalesce(quote_ident(g.rolname), 'PUBLIC') AS role, a.privilege_type AS privilege,
  a.is_grantable AS grantable
FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a
LEFT JOIN pg_roles g ON g.oid = a.grantee
WHERE c.oid = to_regclass(:table)
ORDER BY 1, 2
"""
_TABLE = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
  pg_has_role(c.relowner, 'MEMBER') AS mine
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass(:table) AND c.relkind IN ('r', 'p')
"""


@dataclass(frozen=True)
class Grant:
    """One privilege of one role (or PUBLIC) on a table."""

    role: str
    privilege: str
    grantable: bool = False


def take_offline(database: Database, table: str, folder: Path) -> list[Grant]:
    """Revoke every privilege on a table, its owner's included; what was revoked. Idempotent.

    Superusers still read it. Sessions in the middle of a statement finish it.

    Raises:
        ConfigurationError: there is no such table.
        AccessDenied: this role does not own it.
    """
    with database.connect() as connection, connection.begin():
        found = rows(connection, _TABLE, table=table)
        if not found:
            raise ConfigurationError(f"There is no table {table} in {database.name}.")
        if not found[0].mine:
            raise AccessDenied(f"Only the owner of {table} can take it offline.")
        grants = [Grant(*row) for row in rows(connection, _GRANTS, table=table)]
        if grants:
            _remember(database, found[0].name, grants, folder)
        for role in dict.fromkeys(grant.role for grant in grants):
            connection.exec_driver_sql(f"REVOKE ALL ON TABLE {found[0].name} FROM {role}")
    return grants


def bring_online(database: Database, table: str, folder: Path) -> list[Grant]:
    """Grant again what `take_offline` revoked; what was granted.

    Raises:
        OperatorError: nothing is remembered about this table.
    """
    with database.connect() as connection, connection.begin():
        found = rows(connection, _TABLE, table=table)
        if not found:
            raise ConfigurationError(f"There is no table {table} in {database.name}.")
        record = _record(database, found[0].name, folder)
        try:
            grants = [Grant(**raw) for raw in json.loads(record.read_text())]
        except FileNotFoundError as exc:
            raise OperatorError(
                f"Nothing says who could use {table} before ({record} is missing). "
                f"Grant by hand: GRANT ALL ON TABLE {table} TO app_user;"
            ) from exc
        for grant in grants:
            option = " WITH GRANT OPTION" if grant.grantable else ""
            connection.exec_driver_sql(
                f"GRANT {grant.privilege} ON TABLE {found[0].name} TO {grant.role}{option}"
            )
    record.unlink()
    return grants


def _record(database: Database, table: str, folder: Path) -> Path:
    return folder / f"offline_{database.url.database}_{table.replace('/', '_')}.json"


def _remember(database: Database, table: str, grants: list[Grant], folder: Path) -> None:
    record = _record(database, table, folder)
    if not record.exists():
        files.write(record, json.dumps([asdict(grant) for grant in grants], indent=2) + "\n")
