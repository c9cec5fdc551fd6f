"""What belongs to a database as a whole and is in no dump of it: its settings, and who may connect.

A database that was made for a restore gets them again; elsewhere the lines that are missing are
named.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import Connection

from mina_ops.errors import OperatorError
from mina_ops.operator.database.backup.traits import Traits
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.queries import literal, quoted, run

# Lists of names, which the server keeps as it wants to read them. Source: PostgreSQL's
# guc_tables.c, GUC_LIST_QUOTE.
_LISTS = {
    *("search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries"),
}
# Says which database is production; a copy of it is not.
_MARK = "mina_ops."


def lines(traits: Traits, name: str) -> list[str]:
    """The statements that give a database of that name what the traits say."""
    database = quoted(name)
    made = []
    for role, key, value in traits.settings:
        place = f"ROLE {quoted(role)} IN DATABASE {database}" if role else f"DATABASE {database}"
        made.append(f"ALTER {place} SET {key} = {value if key in _LISTS else literal(value)};")
    if traits.grants is None:
        return made
    made.append(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC;")
    for role, privilege, grantable in traits.grants:
        whom = quoted(role) if role else "PUBLIC"
        option = " WITH GRANT OPTION" if grantable else ""
        made.append(f"GRANT {privilege} ON DATABASE {database} TO {whom}{option};")
    return made


def give(target: Database, wanted: Traits) -> None:
    """Do what can be done of it; what may not be is told by `missing`."""
    for line in lines(wanted, target.database):
        if f" SET {_MARK}" not in line:
            with (
                suppress(OperatorError),
                target.connect(isolation_level="AUTOCOMMIT") as connection,
            ):
                run(connection, line)


def missing(connection: Connection, wanted: Traits, found: Traits, name: str) -> Sequence[str]:
    """A sentence for each line that the database lacks."""
    if connection.dialect.name == "sqlite":
        return []
    there = set(lines(found, name))
    return [
        f"no dump holds this, and the database lacks it: {line}"
        for line in lines(wanted, name)
        if line not in there
    ]
