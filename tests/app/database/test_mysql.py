"""A host on MariaDB, through PyMySQL: health, audit and our tables, as on PostgreSQL."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError

from mina_ops import MinaOps
from mina_ops.app.database.connection import OwnConnection
from mina_ops.app.database.source import Source
from mina_ops.app.native import Native
from tests.support.mariadb import MariaDB
from tests.support.wait import eventually

TOKEN = "the-token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PATIENT = 45.0


@pytest.fixture
def host(mariadb: MariaDB) -> Iterator[Flask]:
    app = Flask(__name__)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=mariadb.new_database(),
        MINA_OPS_ADMIN_TOKENS={"ci": hashlib.sha256(TOKEN.encode()).hexdigest()},
        MINA_OPS_BEAT=0.1,
        MINA_OPS_HEALTH_INTERVAL=0.2,
        MINA_OPS_ACTIVE_SESSIONS="SELECT 7",
    )
    db = SQLAlchemy(app)
    ops = MinaOps(app, db=db)
    yield app
    ops.close()
    with app.app_context():
        db.engine.dispose()


def _database(app: Flask) -> dict[str, Any]:
    found: dict[str, Any] = app.test_client().get("/api/health/db").json or {}
    return found


def test_it_is_connected_and_counts_by_a_query(host: Flask) -> None:
    client = host.test_client()
    eventually(lambda: _database(host)["status"] == "connected")
    eventually(lambda: client.get("/api/metrics/sessions/active").json["active_sessions"] == 7)
    eventually(lambda: client.get("/api/health/ready").status_code == 200, 20)


def test_a_read_only_server_is_told(host: Flask, mariadb: MariaDB) -> None:
    eventually(lambda: _database(host)["status"] == "connected")
    mariadb.run("SET GLOBAL read_only = 1")
    try:
        eventually(lambda: _database(host).get("read_only") is True)
    finally:
        mariadb.run("SET GLOBAL read_only = 0")
    eventually(lambda: "read_only" not in _database(host))


def test_our_tables_are_made_and_changes_are_recorded_there(host: Flask) -> None:
    done = host.test_cli_runner().invoke(args=["mina-ops", "upgrade"])
    assert done.exit_code == 0, done.output
    client = host.test_client()
    flag = {"key": "audio", "enabled": True}
    assert client.post("/admin/flags", json=flag, headers=BEARER).status_code == 201

    def rows() -> list[tuple[Any, ...]]:
        with host.app_context():
            engine = host.extensions["sqlalchemy"].engine
            with engine.connect() as link:
                return [
                    tuple(row) for row in link.execute(text("SELECT actor FROM mina_ops_audit"))
                ]

    eventually(lambda: rows() == [("token:ci",)])
    answer = client.get("/admin/audit", headers=BEARER).json
    assert answer["sources"]["database"] == "ok"
    assert [entry["subject"] for entry in answer["entries"]] == ["audio"]


def test_a_server_that_hangs_is_given_up_and_asked_again_later(mariadb: MariaDB) -> None:
    engine = create_engine(mariadb.new_database())
    source = Source(engine, Native(), Flask("host"))
    own = OwnConnection(lambda: source)
    assert own.use(_one, seconds=PATIENT) == 1
    os.kill(mariadb.server.pid, signal.SIGSTOP)
    try:
        # The old connection says nothing, and neither does a new one.
        with pytest.raises(DBAPIError):
            own.use(_one, seconds=PATIENT)
    finally:
        os.kill(mariadb.server.pid, signal.SIGCONT)
    assert own.use(_one, seconds=PATIENT) == 1
    own.end()


def _one(connection: Connection) -> object:
    return connection.execute(text("SELECT 1")).scalar_one()
