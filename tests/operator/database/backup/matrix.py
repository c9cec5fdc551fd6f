"""One row of the matrix: a database of one kind on one server, through every command."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mina_ops.errors import ConfigurationError
from mina_ops.operator.database.backup import backup, restore
from mina_ops.operator.database.backup.manifest import Manifest
from mina_ops.operator.database.backup.restore_table import restore_table
from mina_ops.operator.database.connection.connect import Database, parse
from mina_ops.operator.database.connection.errors import RestoreFailed
from mina_ops.operator.database.integrity import integrity
from mina_ops.operator.database.integrity.expectations import Expectations
from tests.operator.database.backup.test_elsewhere import CONTENT, KINDS
from tests.operator.database.conftest import ask, run
from tests.support.postgres import Postgres, running_postgres
from tests.support.postgres_releases import Release

COLUMNS = ("backup", "proof", "bare server", "newer server", "one table", "integrity")
ROLES = ("superuser", "CREATEDB")
TEXTS = {
    "UTF8": "'Grüße, 会議'",
    "ICU": "'Grüße, 会議'",
    "LATIN1": "'Grüße'",
    "SQL_ASCII": "E'\\\\xff\\\\xfe'",
}
Row = dict[str, str]


@dataclass
class Servers:
    """Servers of each release, started when they are asked for; `bare` ones hold nothing yet."""

    stack: ExitStack
    running: dict[tuple[int, bool], Postgres] = field(default_factory=dict)

    def of(self, release: Release, *, bare: bool = False) -> Postgres:
        """The server of a release; the bare one is another cluster."""
        key = (release.version, bare)
        if key not in self.running:
            self.running[key] = self.stack.enter_context(running_postgres(release.server))
        return self.running[key]


def row(
    servers: Servers,
    release: Release,
    newer: Release | None,
    kind: str,
    role: str,
    folder: Path,
) -> Row:
    """Take one database through every command; what came of each. Whatever is lost fails."""
    server = servers.of(release)
    source, clean = _source(server, kind, role)
    try:
        file = folder / "backup_1.sql"
        made = backup.make(source, file)
        assert made.restored
        bare = _come_back(file, servers.of(release, bare=True), source, made)
        found = {"backup": "yes", "proof": _but(made.unproven), "bare server": "yes"}
        found["newer server"] = "none here"
        if newer is not None:
            _come_back(file, servers.of(newer), source, made)
            found["newer server"] = "yes"
        found["one table"] = _one_table(file, source)
        found["integrity"] = _integrity(bare, made)
        return found
    finally:
        clean()


def sqlite_row(folder: Path, name: str, journal: str) -> Row:
    """The same for a SQLite file of that name, with a text in it that is none."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as live:
        live.execute(f"PRAGMA journal_mode = {journal}")
        live.execute('CREATE TABLE "t:x" (a TEXT, b BLOB)')
        live.execute("""INSERT INTO "t:x" VALUES (CAST(x'ff00fe' AS TEXT), x'00'), ('ä', NULL)""")
        live.commit()
        database = Database(parse("sqlite:///x").url.set(database=str(path)))
        file = folder / "out" / "backup_1.sql"
        made = backup.make(database, file)
        before = live.execute('SELECT CAST(a AS BLOB), b FROM "t:x"').fetchall()
    assert (made.restored, made.rows, made.unproven) == (True, 2, ())
    target = Database(database.url.set(database=str(path.with_name(f"other {path.name}"))))
    assert restore.restore(file, target).differences == []
    with closing(sqlite3.connect(target.file)) as came:
        assert came.execute('SELECT CAST(a AS BLOB), b FROM "t:x"').fetchall() == before
    with pytest.raises(ConfigurationError, match="PostgreSQL only"):
        restore_table(file, "t:x", target)
    found = dict.fromkeys(COLUMNS, "yes") | {"newer server": "", "one table": "says it cannot"}
    return found | {"integrity": _integrity(target, made)}


def _source(server: Postgres, kind: str, role: str) -> tuple[Database, Callable[[], None]]:
    admin = parse(server.url())
    made = parse(server.new_database())
    run(admin, f"DROP DATABASE {made.database}")
    _make_roles(admin, maker="LOGIN CREATEDB", auditor="")
    owner = "mina" if role == "superuser" else "maker"
    words = f"CREATE DATABASE {made.database} TEMPLATE template0 OWNER {owner} {KINDS[kind]}"
    run(admin, words)
    run(made, "CREATE EXTENSION amcheck")  # a superuser's alone
    source = made.login(owner, "")
    run(source, CONTENT)
    if role != "superuser":
        # Its own policy would hide rows from it, which a backup refuses; see test_elsewhere.
        run(source, "ALTER TABLE app.users NO FORCE ROW LEVEL SECURITY")
    run(source, f"INSERT INTO app.users (name) VALUES ({TEXTS[kind]})")
    run(source, "GRANT SELECT ON sums TO auditor")

    def clean() -> None:
        run(admin, f"DROP DATABASE {made.database} WITH (FORCE)")

    return source, clean


def _make_roles(admin: Database, **roles: str) -> None:
    """Roles belong to a whole server, which may have them from another row of the table."""
    known = {name for (name,) in ask(admin, "SELECT rolname FROM pg_roles")}
    for name in roles.keys() - known:
        run(admin, f"CREATE ROLE {name} {roles[name]}")


def _come_back(file: Path, server: Postgres, source: Database, made: Manifest) -> Database:
    """Restore it there as its owner, doing what each refusal says."""
    admin = parse(server.url())
    owner = source.url.username
    if owner == "maker":
        _make_roles(admin, maker="LOGIN CREATEDB")
    target = parse(server.new_database()).login(owner or "", "")
    run(admin, f"DROP DATABASE {target.database}")
    for _ in range(2):  # the roles, then the extension
        try:
            restore.restore(file, target)
        except RestoreFailed as error:
            _do_what_it_says(str(error), admin, target)
    came = restore.restore(file, target)
    assert (came.differences, came.remarks) == ([], []), "it was made with the same traits"
    _integrity(target, made)
    assert ask(target, "SELECT count(*) FROM pg_largeobject_metadata") == [(1,)]
    assert ask(target, "SELECT count(*) FROM pg_policy") == [(1,)]
    return target


def _do_what_it_says(said: str, admin: Database, target: Database) -> None:
    """Type the lines of a refusal; one that gives none, or the same again, fails the test."""
    lines = re.findall(r"(CREATE ROLE [^;]+;|CREATE DATABASE [^;]+;|CREATE EXTENSION [^;]+;)", said)
    assert lines, said
    for line in lines:
        run(admin.named(target.database) if "EXTENSION" in line else admin, line)


def _one_table(file: Path, source: Database) -> str:
    everything = "SELECT id, name, app.users.mail::text FROM app.users ORDER BY id"
    source_as_text = source.named(source.database)
    before = _bytes(source_as_text, everything)
    run(source, "DELETE FROM app.users WHERE id > 1; UPDATE app.users SET name = 'spoilt'")
    done = restore_table(file, "app.users", source)
    assert done.rows == 3, done
    assert _bytes(source_as_text, everything) == before
    run(source, "INSERT INTO app.users (name) VALUES ('next')")
    return "yes"


def _bytes(database: Database, sql: str) -> list[object]:
    """Rows with their texts as bytes: SQL_ASCII holds what is no text."""
    wrapped = f"SELECT t.id, convert_to(t.name, 'SQL_ASCII') FROM ({sql}) AS t"
    if ask(database, "SHOW server_encoding") != [("SQL_ASCII",)]:
        wrapped = sql
    return list(ask(database, wrapped))


def _integrity(database: Database, made: Manifest) -> str:
    report = integrity.check(database, Expectations(tables=made.tables, exact=True))
    assert report.clean, report.to_text()
    # Nobody named the migrations, and no server of the tests keeps checksums.
    apart = {"revision", "checksums"}
    skipped = [item for item in report.results if item.state == "skipped" and item.reason]
    return _but([item.check for item in skipped if item.check not in apart])


def _but(remarks: Sequence[str]) -> str:
    return f"yes, but for {'; '.join(remarks)}" if remarks else "yes"
