"""Every change is on record: in the shared log at once, in the database soon after."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from mina_ops.app.admin.archive import TABLE
from mina_ops.app.admin.audit import MOST_ENTRIES, Audit
from mina_ops.app.state import keys
from mina_ops.errors import StateUnavailable
from tests.app.admin.conftest import BEARER
from tests.support.postgres import Postgres
from tests.support.wait import eventually


def audit_of(app: Flask) -> Audit:
    found: Audit = app.extensions["mina_ops"].context.audit
    return found


def record(app: Flask, subject: str = "audio", **more: Any) -> None:
    given: dict[str, Any] = {"actor": "user:ana", "action": "flag.set", "before": None}
    audit_of(app).record(subject=subject, **{"after": {"n": 1}, **given, **more})


def ask(client: FlaskClient, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/admin/audit{query}", headers=BEARER)
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    return answer.json


def migrate(app: Flask) -> None:
    result = app.test_cli_runner().invoke(args=["mina-ops", "upgrade"])
    assert result.exit_code == 0, result.output


def rows(url: str) -> list[str]:
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            return list(connection.scalars(sa.select(TABLE.c.subject).order_by(TABLE.c.at)))
    finally:
        engine.dispose()


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'host.db'}"


def test_a_change_of_a_flag_is_on_record_with_who_when_and_from_where(
    make_app: Callable[..., Flask],
) -> None:
    client = make_app().test_client()
    began = time.time()
    body = '{"key": "audio", "enabled": true}'
    client.post("/admin/flags", data=body, headers={**BEARER, "X-Request-ID": "r-1"})
    answer = ask(client)
    entry = answer["entries"][0]
    assert answer["sources"] == {"database": "none", "log": "ok"}
    assert (entry["actor"], entry["action"], entry["subject"]) == ("token:ci", "flag.set", "audio")
    assert (entry["address"], entry["correlation_id"]) == ("127.0.0.1", "r-1")
    assert (entry["environment"], entry["version"]) == ("blue", "v2.5.0")
    assert entry["before"] == {"audio": None}
    assert entry["after"] == {"audio": {"key": "audio", "enabled": True}}
    assert began <= entry["at"] <= time.time()


def test_an_order_to_drain_is_on_record_with_where_it_came_from(
    make_app: Callable[..., Flask],
) -> None:
    client = make_app().test_client()
    client.post("/admin/drain", headers={**BEARER, "X-Request-ID": "r-7"})
    client.delete("/admin/drain", headers=BEARER)
    cancelled, begun = ask(client)["entries"]
    assert (begun["address"], begun["correlation_id"]) == ("127.0.0.1", "r-7")
    assert cancelled["address"] == "127.0.0.1"
    assert len(cancelled["correlation_id"]) == 16


def test_only_admins_may_read_the_record(make_app: Callable[..., Flask]) -> None:
    assert make_app().test_client().get("/admin/audit").status_code == 401


def test_the_newest_entries_come_first_and_may_be_chosen(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    client = app.test_client()
    for n in range(5):
        record(app, f"flag{n}", actor=f"user:{n % 2}")
    found = ask(client, "?limit=2")["entries"]
    assert [entry["subject"] for entry in found] == ["flag4", "flag3"]
    older = ask(client, f"?before={found[-1]['at']}")["entries"]
    assert [entry["subject"] for entry in older] == ["flag2", "flag1", "flag0"]
    mine = ask(client, "?actor=user:1")["entries"]
    assert [entry["subject"] for entry in mine] == ["flag3", "flag1"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        (f"limit={MOST_ENTRIES + 1}", "limit"),
        ("limit=x", "limit"),
        ("before=nan", "before"),
        ("drop=table", "drop"),
    ],
)
def test_a_query_that_makes_no_sense_is_400(
    make_app: Callable[..., Flask], query: str, field: str
) -> None:
    answer = make_app().test_client().get(f"/admin/audit?{query}", headers=BEARER)
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["field"] == field


def test_an_entry_reaches_the_database_and_is_shown_once(
    make_app: Callable[..., Flask], database: str
) -> None:
    app = make_app(database)
    migrate(app)
    record(app)
    eventually(lambda: rows(database) == ["audio"], message="the row")
    answer = ask(app.test_client())
    assert answer["sources"] == {"database": "ok", "log": "ok"}
    assert [entry["subject"] for entry in answer["entries"]] == ["audio"]


def test_the_database_remembers_what_the_shared_log_has_lost(
    make_app: Callable[..., Flask], database: str
) -> None:
    first = make_app(database)
    migrate(first)
    record(first)
    eventually(lambda: rows(database) == ["audio"], message="the row")
    second = make_app(database)  # with a memory store of its own, so an empty log
    found = ask(second.test_client(), "?action=flag.set")["entries"]
    assert [entry["after"] for entry in found] == [{"n": 1}]


def test_entries_made_before_the_table_was_are_copied_by_the_next_process(
    make_app: Callable[..., Flask],
    database: str,
    redis_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shared = {"REDIS_URL": redis_url, "MINA_OPS_REDIS_TIMEOUT": 5}
    first = make_app(database, **shared)
    record(first, "early")
    eventually(lambda: "flask mina-ops upgrade" in caplog.text, message="the advice")
    assert ask(first.test_client())["sources"]["database"] == "not migrated"
    audit_of(first).close()
    second = make_app(database, **shared)
    migrate(second)
    record(second, "late")
    eventually(lambda: rows(database) == ["early", "late"], message="both rows")


def test_a_hung_database_holds_up_no_change(make_app: Callable[..., Flask], database: str) -> None:
    app = make_app(database)
    migrate(app)
    locked = sqlite3.connect(database.removeprefix("sqlite:///"), isolation_level=None)
    locked.execute("BEGIN EXCLUSIVE")
    for n in range(5):
        record(app, f"flag{n}")
    assert locked.execute("SELECT count(*) FROM mina_ops_audit").fetchone() == (0,)
    locked.execute("ROLLBACK")
    locked.close()
    eventually(lambda: len(rows(database)) == 5, 10.0, "the rows")


def test_the_record_goes_on_while_redis_is_away(
    make_app: Callable[..., Flask], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(database)
    migrate(app)
    client = app.test_client()
    record(app, "before")

    def away(*_: Any, **__: Any) -> None:
        raise StateUnavailable("away")

    store = app.extensions["mina_ops"].store
    monkeypatch.setattr(store, "append", away)
    monkeypatch.setattr(store, "records", away)
    record(app, "during")
    eventually(lambda: rows(database) == ["before", "during"], message="both rows")
    answer = ask(client)
    assert answer["sources"] == {"database": "ok", "log": "away"}
    assert [entry["subject"] for entry in answer["entries"]] == ["during", "before"]


def test_with_neither_source_the_answer_is_503(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()

    def away(*_: Any, **__: Any) -> None:
        raise StateUnavailable("away")

    monkeypatch.setattr(app.extensions["mina_ops"].store, "records", away)
    assert app.test_client().get("/admin/audit", headers=BEARER).status_code == 503


def test_many_threads_lose_no_entry(make_app: Callable[..., Flask], database: str) -> None:
    app = make_app(database)
    migrate(app)
    threads = [
        threading.Thread(target=lambda n=n: [record(app, f"f{n}.{m}") for m in range(10)])
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: len(set(rows(database))) == 80, 10.0, "80 rows")


def test_a_value_too_large_to_keep_is_named_and_not_kept(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    record(app, after={"text": "x" * 200_000})
    entry = ask(app.test_client())["entries"][0]
    assert list(entry["after"]) == ["too_long_to_keep"]
    log = app.extensions["mina_ops"].store.records(keys.AUDIT_LOG, count=1)
    assert len(json.dumps(log)) < 2_000


def test_postgresql_holds_the_record_beside_a_hosts_own_migrations(
    make_app: Callable[..., Flask], database_url: str, postgres: Postgres
) -> None:
    engine = sa.create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num varchar(32))"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('of the host')"))
    app = make_app(database_url)
    migrate(app)
    migrate(app)
    record(app)
    eventually(lambda: rows(database_url) == ["audio"], message="the row")
    with engine.connect() as connection:
        theirs = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars()
        assert list(theirs) == ["of the host"]
        names = set(sa.inspect(connection).get_table_names())
    engine.dispose()
    assert names == {"alembic_version", "mina_ops_alembic_version", "mina_ops_audit"}
