"""Our connection is made as the host's engine makes its own, however the host says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask, current_app
from flask_sqlalchemy import SQLAlchemy

from mina_ops.app.database.connection import OwnConnection
from mina_ops.app.database.finding import source_of
from mina_ops.app.native import Native
from mina_ops.app.settings import load
from tests.support.postgres import Postgres

NOWHERE = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
SECONDS = 45.0


def _own(app: Flask, db: Any = None) -> OwnConnection:
    return OwnConnection(source_of(app, load(app.config, {}), db, Native()))


def _app(url: str, **config: Any) -> Flask:
    app = Flask("host")
    app.config.update(SQLALCHEMY_DATABASE_URI=url, **config)
    return app


def _shown(own: OwnConnection, setting: str) -> Any:
    def ask(connection: sa.Connection) -> Any:
        return connection.execute(sa.text(f"SHOW {setting}")).scalar_one()

    try:
        return own.use(ask, seconds=SECONDS)
    finally:
        own.close()


def _in_config(url: str, arguments: dict[str, Any]) -> Flask:
    app = _app(url, SQLALCHEMY_ENGINE_OPTIONS={"connect_args": arguments})
    SQLAlchemy(app)
    return app


def _in_the_constructor(url: str, arguments: dict[str, Any]) -> Flask:
    app = _app(url)
    SQLAlchemy(app, engine_options={"connect_args": arguments})
    return app


def _in_a_bind(url: str, arguments: dict[str, Any]) -> Flask:
    app = Flask("host")
    app.config["SQLALCHEMY_BINDS"] = {None: {"url": url, "connect_args": arguments}}
    SQLAlchemy(app)
    return app


def _in_a_subclass(url: str, arguments: dict[str, Any]) -> Flask:
    class Ours(SQLAlchemy):
        def _make_engine(self, bind: Any, options: dict[str, Any], app: Flask) -> sa.Engine:
            return super()._make_engine(bind, {**options, "connect_args": arguments}, app)

    app = _app(url)
    Ours(app)
    return app


@pytest.mark.parametrize("make", [_in_config, _in_the_constructor, _in_a_bind, _in_a_subclass])
def test_the_drivers_arguments_are_the_hosts(
    make: Callable[[str, dict[str, Any]], Flask], database_url: str
) -> None:
    arguments = {"application_name": "the host", "options": "-c work_mem=5MB"}
    own = _own(make(database_url, arguments))
    assert _shown(own, "application_name") == "the host"
    assert _shown(own, "work_mem") == "5MB"


def test_a_creator_is_called(postgres: Postgres) -> None:
    def connect() -> Any:
        assert current_app.name == "host"
        return psycopg.connect(postgres.url(scheme="postgresql"), application_name="cloud")

    app = _app(NOWHERE, SQLALCHEMY_ENGINE_OPTIONS={"creator": connect})
    SQLAlchemy(app)
    assert _shown(_own(app), "application_name") == "cloud"


@pytest.mark.parametrize("late", [False, True])
def test_a_token_is_fetched_for_each_connect(postgres: Postgres, late: bool) -> None:
    app = _app(NOWHERE)
    db = SQLAlchemy(app)
    own = _own(app, db)
    if late:
        assert own.exists()  # it knows the engine already when the host adds its event
    tokens: list[str] = []
    with app.app_context():

        @sa.event.listens_for(db.engine, "do_connect")
        def supply(dialect: Any, record: Any, cargs: Any, cparams: dict[str, Any]) -> None:
            tokens.append(f"token {len(tokens) + 1}")
            cparams |= {"host": "127.0.0.1", "port": postgres.server.port, "user": "mina"}
            cparams |= {"dbname": "postgres", "application_name": tokens[-1]}

    assert _shown(own, "application_name") == "token 1"
    assert _shown(own, "application_name") == "token 2"


def test_an_event_that_connects_by_itself_is_obeyed(postgres: Postgres) -> None:
    app = _app(NOWHERE)
    db = SQLAlchemy(app)
    with app.app_context():

        @sa.event.listens_for(db.engine, "do_connect")
        def connect(dialect: Any, record: Any, cargs: Any, cparams: Any) -> Any:
            return psycopg.connect(postgres.url(scheme="postgresql"), application_name="itself")

    assert _shown(_own(app, db), "application_name") == "itself"


def test_what_an_event_sets_after_the_connect_holds(database_url: str) -> None:
    app = _app(database_url)
    db = SQLAlchemy(app)
    own = _own(app, db)
    with app.app_context():

        @sa.event.listens_for(db.engine, "connect")
        def set_path(raw: Any, record: Any) -> None:
            raw.execute("SET search_path = somewhere")

    assert _shown(own, "search_path") == "somewhere"


def test_the_hosts_own_connections_stay_as_they_were(database_url: str) -> None:
    app = _app(database_url)
    db = SQLAlchemy(app)
    own = _own(app, db)
    assert _shown(own, "application_name") == "mina_ops"
    with app.app_context(), db.engine.connect() as connection:
        assert connection.execute(sa.text("SHOW application_name")).scalar_one() == ""
        assert db.engine.pool.checkedout() == 1  # type: ignore[attr-defined]
    with app.app_context():
        db.engine.dispose()


def test_a_db_that_is_bound_later_is_found_then(database_url: str) -> None:
    db = SQLAlchemy()
    app = _app(database_url)
    own = _own(app, db)
    assert not own.exists()
    db.init_app(app)
    assert own.exists()
