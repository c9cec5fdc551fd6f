"""Each command works with the rights that docs/database.md names for it, and not with fewer."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from mina_ops.cli import db, main
from mina_ops.errors import MinaOpsError
from mina_ops.operator.database.connection.connect import Database, parse
from mina_ops.operator.secrets import database_role
from tests.operator.database.conftest import SCHEMA, ask, run
from tests.operator.database.migrations.test_lint import write
from tests.support import postgres_releases
from tests.support.needs import need
from tests.support.postgres import Postgres, running_postgres

PAGE = Path(__file__).parents[3] / "docs" / "database.md"
_ROW = re.compile(r"^\| (`[^|]*) \| `([^|]*?)` \|$", re.M)


@dataclass
class Place:
    """A database whose tables belong to `app_owner`, and a role `keeper` that may nothing."""

    server: Postgres
    folder: Path
    live: Database
    patch: pytest.MonkeyPatch

    def grant(self, lines: list[str]) -> None:
        """Give `keeper` these rights and no others."""
        run(self.live, "DROP OWNED BY keeper")
        admin = parse(self.server.url())
        for (name,) in ask(admin, "SELECT datname FROM pg_database WHERE datname = 'restored'"):
            run(admin, f"DROP DATABASE {name} WITH (FORCE)")
        run(admin, "DROP ROLE keeper; CREATE ROLE keeper LOGIN;")
        for line in lines:
            run(admin, line)

    def type(self, *words: str) -> tuple[int, str]:
        """Type `mina-ops` and these words as `keeper`."""
        done = CliRunner().invoke(main, words)
        return done.exit_code, done.output

    def url(self, user: str, database: str = "") -> str:
        """The URL of a role."""
        found = self.live.login(user, "").named(database or self.live.database)
        return found.url.render_as_string(hide_password=False)


def _of_docs() -> dict[str, list[str]]:
    """command -> the lines that its role needs."""
    found = {}
    for commands, lines in _ROW.findall(PAGE.read_text()):
        for command in re.findall(r"`([^`]+)`", commands):
            if "keeper" in lines and command != "ADMIN_DATABASE_URL":
                found[command] = [f"{line.strip()};" for line in lines.split(";") if line.strip()]
    return found


RIGHTS = _of_docs()


@pytest.fixture(params=["oldest", "newest"], scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    found = need(postgres_releases.debian)
    if request.param == "newest":
        found = need(postgres_releases.newer)[-1]
    with running_postgres(found.server) as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{found.client}{os.pathsep}{os.environ['PATH']}")
        run(parse(running.url()), "CREATE ROLE app_owner LOGIN; CREATE ROLE keeper LOGIN;")
        yield running


@pytest.fixture
def place(server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    live = parse(server.new_database())
    run(live, f"ALTER DATABASE {live.database} OWNER TO app_owner")
    run(live.login("app_owner", ""), SCHEMA.replace("'r2'", "'r1'"))
    write(tmp_path / "migrations", "op.execute('SELECT 1')", "op.execute('SELECT 2')")
    found = Place(server, tmp_path, live, monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", found.url("keeper"))
    yield found
    run(parse(server.url()), f"DROP DATABASE {live.database} WITH (FORCE)")


def _backed_up(place: Place) -> str:
    file = place.folder / "backup_1.sql"
    if not file.exists():
        with place.patch.context() as patch:
            patch.setenv("DATABASE_URL", place.url("app_owner"))
            code, said = place.type("db", "backup", "--no-prove", "--output", str(file))
        assert code == 0, said
    return str(file)


def _restore(place: Place) -> tuple[int, str]:
    file = _backed_up(place)
    place.patch.setenv("RESTORE_DATABASE_URL", place.url("keeper", "restored"))
    return place.type("db", "restore", file)


def _restore_table(place: Place) -> tuple[int, str]:
    file = _backed_up(place)
    run(place.live, "DELETE FROM bookmarks")
    code, said = place.type("db", "restore", file, "--table", "bookmarks")
    assert code != 0 or ask(place.live, "SELECT count(*) FROM bookmarks") == [(20,)]
    return code, said


def _backup(place: Place) -> tuple[int, str]:
    code, said = place.type("db", "backup", "--output", "proven.sql")
    assert code != 0 or (place.folder / "proven.sql").exists()
    (place.folder / "proven.sql").unlink(missing_ok=True)
    return code, said


def _check(place: Place) -> tuple[int, str]:
    code, said = place.type("db", "check")
    return (1 if "Not tried on PostgreSQL" in said else code), said


def _online(place: Place) -> tuple[int, str]:
    with place.patch.context() as patch:
        patch.setenv("DATABASE_URL", place.url("app_owner"))
        place.type("db", "offline", "bookmarks")
    return place.type("db", "online", "bookmarks")


@contextmanager
def _session(place: Place, role: str) -> Iterator[None]:
    url = place.url(role).replace("+psycopg", "")
    with suppress(psycopg.OperationalError), psycopg.connect(url) as session:
        assert session.execute("SELECT count(*) FROM users").fetchone() == (50,)
        yield


def _rotate(place: Place) -> tuple[int, str]:
    admin = place.live.login("keeper", "")
    try:
        database_role.create(admin, "app_owner", "app_owner_2", "hush")
        # A session that each of the ends has to cut.
        with _session(place, "app_owner"), _session(place, "app_owner_2"):
            assert database_role.retire(admin, "app_owner", wait_seconds=0, cut=True) == 1
            database_role.revive(admin, "app_owner", "app_owner_2", "hush")
            assert database_role.drop(admin, "app_owner_2") is None
    except MinaOpsError as exc:
        return 1, str(exc)
    finally:
        run(place.live, "ALTER ROLE app_owner LOGIN")
        run(place.live, "DROP ROLE IF EXISTS app_owner_2")
    return 0, ""


# What is typed for a command of the table, where it is not the command itself.
WAYS: dict[str, Callable[[Place], tuple[int, str]]] = {
    "db backup": _backup,
    "db backup --no-prove": lambda place: place.type(
        "db", "backup", "--no-prove", "--output", str(place.folder / "b" / f"{id(place)}.sql")
    ),
    "db check": _check,
    "db restore": _restore,
    "db restore --table": _restore_table,
    "db offline": lambda place: place.type("db", "offline", "bookmarks"),
    "db online": _online,
    "db verdict": lambda place: place.type("db", "verdict", "--old-head", "r1"),
    "secrets rotate": _rotate,
}


def test_every_command_of_the_database_has_its_row() -> None:
    named = {command.split()[1] for command in RIGHTS if command.startswith("db ")}
    assert named | {"mapped"} == set(db.command.commands)


@pytest.mark.integration
@pytest.mark.parametrize("command", RIGHTS)
def test_command_works_with_these_rights_and_not_with_fewer(place: Place, command: str) -> None:
    way = WAYS.get(command, lambda place: place.type(*command.split()))
    place.grant(RIGHTS[command][:-1])
    code, said = way(place)
    assert code != 0, f"{RIGHTS[command][-1]} is not needed: {said}"
    assert "Traceback" not in said
    place.grant(RIGHTS[command])
    code, said = way(place)
    assert code == 0, said
