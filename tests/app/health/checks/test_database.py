"""The database check: its own bounded connection, which heals by itself."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from mina_ops.app.health.checks.database import database_check
from mina_ops.app.health.checks.engine import OwnConnection
from mina_ops.app.health.faults import classify
from mina_ops.app.health.model import Check
from tests.app.health.probing import frozen, reserved
from tests.support.postgres import Postgres
from tests.support.wait import eventually

APPLICATION = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE application_name = 'mina_ops health' AND datname = current_database()"
)


def _run(check: Check) -> object:
    assert check.run is not None
    return check.run()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a database keeps which is only held up."""
    monkeypatch.setattr("mina_ops.app.health.checks.engine._CONNECT_SECONDS", 45)
    monkeypatch.setattr("mina_ops.app.health.checks.database.DEADLINE_SECONDS", 45.0)


def test_without_a_url_it_is_disabled() -> None:
    assert database_check(None, ttl_seconds=5).run is None


def test_a_sqlite_file_is_asked_from_any_thread(tmp_path: Path) -> None:
    check = database_check(f"sqlite:///{tmp_path / 'x.db'}", ttl_seconds=5)
    faults: list[Exception] = []

    def work() -> None:
        try:
            _run(check)
        except Exception as exc:
            faults.append(exc)

    for _ in range(3):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert faults == []


def test_a_missing_folder_is_an_error_not_a_crash(tmp_path: Path) -> None:
    check = database_check(f"sqlite:///{tmp_path}/nowhere/x.db", ttl_seconds=5)
    with pytest.raises(DBAPIError) as caught:
        _run(check)
    assert classify(caught.value) == "error"


@pytest.mark.usefixtures("patient")
def test_it_keeps_a_single_connection_of_its_own(database_url: str) -> None:
    check = database_check(database_url, ttl_seconds=5)
    engine = create_engine(database_url)
    with engine.connect() as connection:
        for _ in range(5):
            _run(check)
        assert connection.execute(text(APPLICATION)).scalar_one() == 1
    engine.dispose()


@pytest.mark.usefixtures("patient")
def test_a_connection_that_was_cut_is_replaced_without_a_false_alarm(database_url: str) -> None:
    check = database_check(database_url, ttl_seconds=5)
    _run(check)
    engine = create_engine(database_url, isolation_level="AUTOCOMMIT")
    cut = APPLICATION.replace("count(*)", "pg_terminate_backend(pid)")
    with engine.connect() as connection:
        assert connection.execute(text(cut)).scalar_one() is True
    engine.dispose()
    _run(check)


def test_a_refused_and_a_silent_database_are_told_apart(silent_port: int) -> None:
    with reserved() as closed_port:
        for port, expected in ((closed_port, "refused"), (silent_port, "timeout")):
            check = database_check(f"postgresql+psycopg://m:pw@127.0.0.1:{port}/x", ttl_seconds=5)
            with pytest.raises(DBAPIError) as caught:
                _run(check)
            assert classify(caught.value) == expected


def test_a_statement_that_takes_too_long_is_ended_by_the_server(database_url: str) -> None:
    own = OwnConnection(database_url, statement_seconds=0.1)
    with pytest.raises(DBAPIError) as caught:
        own.use(lambda connection: connection.execute(text("SELECT pg_sleep(30)")))
    assert classify(caught.value) == "timeout"


@pytest.mark.usefixtures("patient")
def test_a_wrong_database_or_role_is_told_by_class(postgres: Postgres) -> None:
    check = database_check(postgres.url("nowhere"), ttl_seconds=5)
    with pytest.raises(DBAPIError) as caught:
        _run(check)
    assert classify(caught.value) == "error"


def test_a_query_on_a_frozen_server_is_broken_by_abort(own_postgres: Postgres) -> None:
    own = OwnConnection(own_postgres.url(), statement_seconds=30)
    eventually(
        lambda: own.use(lambda connection: connection.execute(text("SELECT 1")).scalar_one()),
        ignoring=(DBAPIError,),
    )
    ended, begun = threading.Event(), threading.Event()

    def ask() -> None:
        try:
            own.use(lambda c: begun.set() or c.execute(text("SELECT 1")))
        except DBAPIError:
            ended.set()

    thread = threading.Thread(target=ask, daemon=True)
    with frozen(own_postgres.server):
        thread.start()
        assert begun.wait(30)
        # The statement may not have been sent yet when the first abort comes.
        eventually(lambda: own.abort() or ended.wait(0.05), 10.0, "the query to be broken")
    thread.join(10)
    own_postgres.server.kill()


@pytest.mark.usefixtures("patient")
def test_the_hosts_own_driver_arguments_are_kept(database_url: str) -> None:
    own = OwnConnection(
        database_url,
        statement_seconds=45,
        connect_args={"application_name": "x", "sslmode": "disable"},
    )
    found = own.use(lambda connection: connection.connection.driver_connection)
    assert found is not None
    parameters = found.info.get_parameters()
    assert parameters["sslmode"] == "disable"
    assert "statement_timeout=45000" in parameters["options"]


@pytest.mark.usefixtures("patient")
def test_a_pooler_that_takes_no_options_is_asked_without(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = psycopg.connect

    def as_pgbouncer(*args: object, **kwargs: object) -> object:
        if "options" in kwargs:
            raise psycopg.OperationalError("FATAL: unsupported startup parameter: options")
        return connect(*args, **kwargs)  # type: ignore[arg-type]

    own = OwnConnection(database_url, statement_seconds=45)
    monkeypatch.setattr(psycopg, "connect", as_pgbouncer)
    assert own.use(lambda connection: connection.execute(text("SELECT 1")).scalar_one()) == 1
