"""Many processes and a database that has few connections: all of them become ready."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.pool import NullPool

from mina_ops import MinaOps
from tests.support.postgres import Postgres
from tests.support.wait import eventually

PROCESSES = 12
CONNECTIONS = 4


@pytest.fixture
def small_database(postgres: Postgres) -> Iterator[str]:
    """A database's URL with a role that may have few connections at a time."""
    admin = postgres.url(scheme="postgresql")
    role = f"CREATE ROLE few LOGIN CONNECTION LIMIT {CONNECTIONS}"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(role)
    try:
        yield postgres.url().replace("mina@", "few@")
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute("DROP ROLE few")


def _process(redis_url: str, database: str, number: int) -> MinaOps:
    app = Flask(f"process-{number}")
    app.config.update(
        SQLALCHEMY_DATABASE_URI=database,
        # As a host of hundreds of processes has it, before a pooler or a small server.
        SQLALCHEMY_ENGINE_OPTIONS={"poolclass": NullPool},
        REDIS_URL=redis_url,
        MINA_OPS_INSTANCE=str(number),
    )
    return MinaOps(app, db=SQLAlchemy(app))


def _is_ready(ops: MinaOps) -> bool:
    app = ops.runtime.context.app
    return app.test_client().get("/api/health/ready").status_code == 200


def test_nobody_keeps_a_connection_that_others_need(own_redis: Any, small_database: str) -> None:
    fleet = [_process(own_redis.url, small_database, number) for number in range(PROCESSES)]
    # The first four have the connections before the others ask at all.
    for ops in fleet[:CONNECTIONS]:
        eventually(lambda ops=ops: _is_ready(ops), 20)  # type: ignore[misc]
    eventually(lambda: [_is_ready(ops) for ops in fleet].count(False) == 0, 40)
