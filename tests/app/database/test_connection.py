"""Our own connection: bounded, healing by itself, closed when idle, one for each process."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from mina_ops.app.database.connection import OwnConnection
from mina_ops.app.database.source import Source
from mina_ops.app.health.checks.database import database_check
from mina_ops.app.health.faults import classify
from mina_ops.app.health.model import Check
from mina_ops.app.native import Native
from tests.app.health.probing import frozen, reserved, silent_port
from tests.support.pooler import strict_pooler
from tests.support.postgres import Postgres
from tests.support.wait import eventually

OURS = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE application_name = 'mina_ops' AND datname = current_database()"
)
PATIENT = 45.0


def own_of(engine: Engine | str) -> OwnConnection:
    """Our connection beside a host's engine."""
    hosts = create_engine(engine) if isinstance(engine, str) else engine
    source = Source(hosts, Native(), Flask("host"))
    return OwnConnection(lambda: source)


def one(connection: Connection) -> object:
    """A statement that every database knows."""
    return connection.execute(text("SELECT 1")).scalar_one()


def _run(check: Check) -> object:
    assert check.run is not None
    return check.run()


def test_without_a_database_the_check_is_disabled() -> None:
    assert database_check(OwnConnection(lambda: None), ttl_seconds=5).run is None


def test_a_sqlite_file_is_asked_from_any_thread(tmp_path: Path) -> None:
    own = own_of(f"sqlite:///{tmp_path / 'x.db'}")
    faults: list[Exception] = []

    def work() -> None:
        try:
            own.use(one, seconds=PATIENT)
        except Exception as exc:
            faults.append(exc)

    for _ in range(3):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert faults == []


def test_a_missing_folder_is_an_error_not_a_crash(tmp_path: Path) -> None:
    check = database_check(own_of(f"sqlite:///{tmp_path}/nowhere/x.db"), ttl_seconds=5)
    with pytest.raises(DBAPIError) as caught:
        _run(check)
    assert classify(caught.value) == "error"


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_it_keeps_a_single_connection(database_url: str, driver: str) -> None:
    own = own_of(database_url.replace("+psycopg:", f"+{driver}:"))
    engine = create_engine(database_url)
    with engine.connect() as connection:
        for _ in range(5):
            own.use(one, seconds=PATIENT)
        assert connection.execute(text(OURS)).scalar_one() == 1
    engine.dispose()
    own.close()


def test_one_that_nobody_used_for_a_while_is_closed(database_url: str) -> None:
    own = own_of(database_url)
    engine = create_engine(database_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        own.use(one, seconds=PATIENT)
        own.rest()
        assert connection.execute(text(OURS)).scalar_one() == 1
        own.rest(0.0)
        eventually(lambda: connection.execute(text(OURS)).scalar_one() == 0)
        own.use(one, seconds=PATIENT)
        own.close()
        eventually(lambda: connection.execute(text(OURS)).scalar_one() == 0)
    engine.dispose()


def test_a_forked_child_leaves_its_parents_connection_alone(database_url: str) -> None:
    own = own_of(database_url)
    backend = text("SELECT pg_backend_pid()")
    first = own.use(lambda c: c.execute(backend).scalar_one(), seconds=PATIENT)
    pid = os.fork()
    if pid == 0:
        try:
            other = own.use(lambda c: c.execute(backend).scalar_one(), seconds=PATIENT)
            own.close()
            os._exit(0 if other != first else 1)
        finally:
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0
    assert own.use(lambda c: c.execute(backend).scalar_one(), seconds=PATIENT) == first
    own.close()


def test_a_connection_that_was_cut_is_replaced_without_a_false_alarm(database_url: str) -> None:
    own = own_of(database_url)
    own.use(one, seconds=PATIENT)
    engine = create_engine(database_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        cut = OURS.replace("count(*)", "pg_terminate_backend(pid)")
        assert connection.execute(text(cut)).scalar_one() is True
    engine.dispose()
    assert own.use(one, seconds=PATIENT) == 1
    own.close()


def test_a_refused_and_a_silent_database_are_told_apart() -> None:
    with reserved() as closed_port, silent_port() as silent:
        for port, expected in ((closed_port, "refused"), (silent, "timeout")):
            own = own_of(f"postgresql+psycopg://m:pw@127.0.0.1:{port}/x")
            with pytest.raises(DBAPIError) as caught:
                own.use(one, seconds=PATIENT)
            assert classify(caught.value) == expected


def test_a_statement_that_takes_too_long_is_ended_by_the_server(database_url: str) -> None:
    own = own_of(database_url)
    with pytest.raises(DBAPIError) as caught:
        own.use(lambda connection: connection.execute(text("SELECT pg_sleep(30)")), seconds=0.1)
    assert classify(caught.value) == "timeout"


def test_a_limit_does_not_outlive_its_statement(database_url: str) -> None:
    own = own_of(database_url)
    own.use(one, seconds=0.5)
    raw = own.use(lambda connection: connection.connection.driver_connection, seconds=PATIENT)
    # What the next client of a pooler's connection would find.
    assert raw.execute("SHOW statement_timeout").fetchone() == ("0",)
    own.close()


def test_a_second_user_waits_for_the_first_and_gives_up(database_url: str) -> None:
    own, begun, go_on = own_of(database_url), threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        begun.set()
        go_on.wait(PATIENT)

    holder = threading.Thread(target=lambda: own.use(hold, seconds=PATIENT), daemon=True)
    holder.start()
    assert begun.wait(PATIENT)
    with pytest.raises(TimeoutError):
        own.use(one, seconds=0.05)
    go_on.set()
    assert own.use(one, seconds=PATIENT) == 1
    holder.join()
    own.close()


def test_a_wrong_database_or_role_is_told_by_class(postgres: Postgres) -> None:
    with pytest.raises(DBAPIError) as caught:
        own_of(postgres.url("nowhere")).use(one, seconds=PATIENT)
    assert classify(caught.value) == "error"


def test_a_query_on_a_frozen_server_is_broken_by_abort(own_postgres: Postgres) -> None:
    own = own_of(own_postgres.url())
    eventually(lambda: own.use(one, seconds=PATIENT), ignoring=(DBAPIError,))
    ended, begun = threading.Event(), threading.Event()

    def ask() -> None:
        try:
            own.use(lambda c: begun.set() or one(c), seconds=PATIENT)
        except DBAPIError:
            ended.set()

    thread = threading.Thread(target=ask, daemon=True)
    with frozen(own_postgres.server):
        thread.start()
        # The statement may not have been sent yet when the first abort comes.
        eventually(lambda: own.abort() or ended.wait(0.05), 10.0, "the query to be broken")
    thread.join(10)
    own_postgres.server.kill()


def test_a_standby_is_connected_and_told(database_url: str) -> None:
    engine = create_engine(database_url)

    @event.listens_for(engine, "connect")
    def read_only(raw: object, record: object) -> None:
        raw.execute("SET default_transaction_read_only = on")  # type: ignore[attr-defined]

    assert _run(database_check(own_of(database_url), ttl_seconds=5)) == {}
    assert _run(database_check(own_of(engine), ttl_seconds=5)) == {"read_only": True}


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_pooler_that_takes_no_start_up_options_is_asked(postgres: Postgres, driver: str) -> None:
    with strict_pooler(postgres.server.port) as port:
        own = own_of(f"postgresql+{driver}://mina@127.0.0.1:{port}/postgres")
        assert own.use(one, seconds=PATIENT) == 1
        own.close()
