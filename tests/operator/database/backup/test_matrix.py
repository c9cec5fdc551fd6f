"""Each kind of database on each release of PostgreSQL comes through every command.

A few of the cells run always, all of them by `--long`; with WRITE_DOCS=1 that run writes the table
of docs/database.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import pytest

from mina_ops.operator.database.backup import archive, backup, restore
from mina_ops.operator.database.connection import tools
from mina_ops.operator.database.connection.connect import parse
from mina_ops.operator.database.connection.errors import BackupFailed, RestoreFailed
from tests.operator.database.backup.matrix import COLUMNS, ROLES, Row, Servers, row, sqlite_row
from tests.operator.database.backup.test_elsewhere import KINDS
from tests.operator.database.conftest import ask, run
from tests.support import postgres_releases
from tests.support.needs import need
from tests.support.postgres_releases import Release

PAGE = Path(__file__).parents[4] / "docs" / "database.md"
FILES = ("live.db", "a#b.db", "a?mode=memory.db", "a %20 b.db", "ü.db", 'a folder/it\'s "x".db')

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack)


@pytest.fixture(scope="module")
def debian() -> Release:
    return need(postgres_releases.debian)


@pytest.fixture(scope="module")
def newer() -> list[Release]:
    return need(postgres_releases.newer)


def _first_in_path(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize(("kind", "role"), [("ICU", "superuser"), ("LATIN1", "CREATEDB")])
def test_database_of_the_newest_release_comes_through_every_command(
    servers: Servers,
    newer: list[Release],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    role: str,
) -> None:
    _first_in_path(monkeypatch, newer[-1].client)
    found = row(servers, newer[-1], None, kind, role, tmp_path)
    assert found["backup"] == found["bare server"] == found["one table"] == "yes"


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("which", range(4))
def test_every_kind_of_database_of_a_release_comes_through_every_command(
    servers: Servers,
    debian: Release,
    newer: list[Release],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    which: int,
) -> None:
    releases = [debian, *newer]
    if which >= len(releases):
        pytest.skip("there is no further release")
    release, after = releases[which], (*releases[which + 1 :], None)[0]
    # The newest programs speak to all; beside them Debian's own, as a machine without them has.
    for client in (newer[-1].client, *([debian.client] if release == debian else [])):
        name = f"PostgreSQL {release.version}"
        name += " by its own programs" if client == debian.client else ""
        with monkeypatch.context() as patch:
            _first_in_path(patch, client)
            patch.setattr(tools, "BESIDE", (str(client),))
            found = {}
            for kind, role in product(KINDS, ROLES):
                folder = tmp_path / client.parts[1] / f"{kind} {role}"
                tried = after if client == newer[-1].client else None
                came = row(servers, release, tried, kind, role, folder)
                found[f"{name}, {kind}, {role}"] = came
        _write(found)


@pytest.mark.parametrize(("name", "journal"), [(n, j) for n in FILES for j in ("DELETE", "WAL")])
def test_sqlite_file_comes_through_every_command(tmp_path: Path, name: str, journal: str) -> None:
    found = {f"SQLite, `{name}`, {journal}": sqlite_row(tmp_path / "files", name, journal)}
    _write(found)


def test_server_that_is_newer_than_pg_dump_gets_an_error_that_names_what_to_type(
    servers: Servers,
    debian: Release,
    newer: list[Release],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = newer[-1]
    database = parse(servers.of(release).new_database())
    run(database, "CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1)")
    _first_in_path(monkeypatch, debian.client)
    file = tmp_path / "backup_1.sql"
    with pytest.raises(BackupFailed) as error:
        backup.make(database, file)
    assert f"the server is PostgreSQL {release.version}" in str(error.value)
    assert f"apt-get install postgresql-client-{release.version}" in str(error.value)
    assert list(tmp_path.iterdir()) == []

    # Where the distribution keeps the fitting release beside it, that one is taken.
    with monkeypatch.context() as patch:
        patch.setattr(tools, "BESIDE", (*tools.BESIDE, str(release.client)))
        assert backup.make(database, file).restored

    # And on a machine without it, who restores is told the same.
    with pytest.raises(BackupFailed, match="apt-get install postgresql-client-17"):
        archive.contents(file)
    run(database, "DELETE FROM t")
    with pytest.raises(BackupFailed, match="older than the pg_dump that made it"):
        restore.restore(file, parse(servers.of(release).new_database()))


def test_backup_of_a_newer_release_says_so_where_an_older_one_fails_to_take_it(
    servers: Servers,
    debian: Release,
    newer: list[Release],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = newer[-1]
    _first_in_path(monkeypatch, release.client)
    source = parse(servers.of(release).new_database())
    run(source, "CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a + 1) VIRTUAL)")
    plain = parse(servers.of(release).new_database())
    run(plain, "CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1)")
    backup.make(source, tmp_path / "backup_1.sql")
    backup.make(plain, tmp_path / "backup_2.sql")
    target = parse(servers.of(debian).new_database())
    with pytest.raises(RestoreFailed, match="which is older; restore it into"):
        restore.restore(tmp_path / "backup_1.sql", target)
    assert restore.restore(tmp_path / "backup_2.sql", target).differences == []
    assert ask(target, "SELECT a FROM t") == [(1,)]


def _write(found: dict[str, Row]) -> None:
    if not os.environ.get("WRITE_DOCS"):
        return
    head, start, rest = PAGE.read_text().partition("<!-- matrix -->")
    table, end, tail = rest.partition("<!-- end of matrix -->")
    rows = {line.split(" | ")[0].strip("| "): line for line in table.split("\n") if ", " in line}
    rows |= {
        name: f"| {name} | {' | '.join(came[column] for column in COLUMNS)} |"
        for name, came in found.items()
    }
    lines = [f"| database | {' | '.join(COLUMNS)} |", f"| --- |{' --- |' * len(COLUMNS)}"]
    table = "\n".join(lines + [rows[name] for name in sorted(rows)])
    PAGE.write_text(f"{head}{start}\n\n{table}\n\n{end}{tail}")
