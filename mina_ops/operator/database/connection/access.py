"""Take a table offline for everyone but its owner's administrators, and back exactly as it was.

What each role had is kept in a file until it is given back; a second `take_offline` does not
overwrite it.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from mina_ops import files
from mina_ops.errors import AccessDenied, OperatorError
from mina_ops.operator.database.connection import names, trust
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.names import TableName
from mina_ops.operator.database.connection.queries import rows, run
from mina_ops.operator.database.connection.sealed import sealed

_GRANTS = sealed("""
SELECT coalesce(quote_ident(g.rolname), 'PUBLIC') AS role, a.privilege_type AS privilege,
  a.is_grantable AS grantable
FROM pg_class AS c
CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a
LEFT JOIN pg_roles AS g ON g.oid = a.grantee
WHERE c.oid = CAST(:oid AS pg_catalog.oid)
ORDER BY 1, 2
""")
_MINE = sealed("""
SELECT pg_has_role(c.relowner, 'MEMBER') AS mine FROM pg_class AS c
WHERE (c.oid = CAST(:oid AS pg_catalog.oid)) AND (c.relkind = ANY (ARRAY['r'::"char", 'p'::"char"]))
""")


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
        Refused: it would run a lesser role's event trigger.
    """
    with database.connect() as connection, connection.begin():
        found = names.table(connection, table, database.name)
        mine = rows(connection, _MINE, oid=str(found.oid))
        if not mine[0].mine:
            raise AccessDenied(f"Only the owner of {table} can take it offline.")
        trust.refuse_event_triggers(connection)
        grants = [Grant(*row) for row in rows(connection, _GRANTS, oid=str(found.oid))]
        if grants:
            _remember(database, found, grants, folder)
        for role in dict.fromkeys(grant.role for grant in grants):
            run(connection, f"REVOKE ALL ON TABLE {found.sql} FROM {role}")
    return grants


def bring_online(database: Database, table: str, folder: Path) -> list[Grant]:
    """Grant again what `take_offline` revoked; what was granted.

    Raises:
        OperatorError: nothing is remembered about this table.
    """
    with database.connect() as connection, connection.begin():
        found = names.table(connection, table, database.name)
        record = _record(database, found, folder)
        grants = _remembered(record, table)
        trust.refuse_event_triggers(connection)
        for grant in grants:
            option = " WITH GRANT OPTION" if grant.grantable else ""
            run(
                connection,
                f"GRANT {grant.privilege} ON TABLE {found.sql} TO {grant.role}{option}",
            )
    record.unlink()
    return grants


def _remembered(record: Path, table: str) -> list[Grant]:
    try:
        return [Grant(**raw) for raw in json.loads(record.read_text())]
    except FileNotFoundError as exc:
        raise OperatorError(
            f"Nothing says who could use {table} before ({record} is missing). "
            f"Grant by hand: GRANT ALL ON TABLE {table} TO app_user;"
        ) from exc


def _record(database: Database, table: TableName, folder: Path) -> Path:
    # By name: a restore of the whole database between offline and online makes another table.
    readable = re.sub(r"[^\w.-]", "_", table.plain)[:60]
    unlike = hashlib.sha256(f"{database.address}|{table.plain}".encode()).hexdigest()[:8]
    return folder / f"offline_{readable}_{unlike}.json"


def _remember(database: Database, table: TableName, grants: list[Grant], folder: Path) -> None:
    record = _record(database, table, folder)
    if not record.exists():
        files.write(record, json.dumps([asdict(grant) for grant in grants], indent=2) + "\n")
