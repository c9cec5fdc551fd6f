"""A production database is never downgraded, whatever way Alembic is called."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import make_url

from mina_ops.app.downgrade_guard import DowngradeRefused, production_reason
from mina_ops.operator.database.connection.connect import parse
from tests.operator.database.conftest import ask, run
from tests.operator.database.migrations.test_lint import write
from tests.support.pgbouncer import running_pgbouncer
from tests.support.postgres import Postgres

REPOSITORY = Path(__file__).parents[2]
_ENV = """
import os
from alembic import context
from sqlalchemy import create_engine, pool
from mina_ops.app.downgrade_guard import refuse_downgrade; refuse_downgrade(context)
if context.is_offline_mode():
    context.configure(dialect_name="postgresql")
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""
_APP = """
import os
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
db = SQLAlchemy(app)
Migrate(app, db)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    migrations = write(
        tmp_path / "migrations",
        "op.create_table('a', sa.Column('id', sa.Integer, primary_key=True))",
        "op.create_table('b', sa.Column('id', sa.Integer, primary_key=True))",
    )
    (migrations / "env.py").write_text(_ENV)
    (migrations / "script.py.mako").write_text("")
    (migrations / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\n")
    (tmp_path / "app.py").write_text(_APP)
    return tmp_path


@pytest.fixture
def upgraded(folder: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("DATABASE_URL", database_url)
    config = Config(str(folder / "migrations" / "alembic.ini"))
    command.upgrade(config, "head")
    return config


def _revision(url: str) -> str:
    return str(ask(parse(url), "SELECT version_num FROM alembic_version")[0][0])


@pytest.mark.parametrize("environment", ["production", "blue", "Green"])
def test_api_is_refused_on_production_and_nothing_changed(
    upgraded: Config, database_url: str, monkeypatch: pytest.MonkeyPatch, environment: str
) -> None:
    monkeypatch.setenv("ENVIRONMENT", environment)
    with pytest.raises(DowngradeRefused, match="never downgraded"):
        command.downgrade(upgraded, "-1")
    assert _revision(database_url) == "r2"
    assert ask(parse(database_url), "SELECT count(*) FROM b") == [(0,)]


@pytest.mark.parametrize(
    "argv", [["-m", "alembic", "-c", "migrations/alembic.ini"], ["-m", "flask", "db"]]
)
def test_commands_are_refused_on_production(
    upgraded: Config, folder: Path, database_url: str, argv: list[str]
) -> None:
    environment = {**os.environ, "ENVIRONMENT": "production", "FLASK_APP": "app.py"}
    done = subprocess.run(
        [sys.executable, *argv, "downgrade", "--", "-1"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode != 0
    assert "Refused to downgrade" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert _revision(database_url) == "r2"


@pytest.mark.parametrize(
    "typed",
    [
        "flask db downgrade -1",
        "flask db downgrade",
        "flask db downgrade base",
        "flask db downgrade --sql r2:r1",
        "alembic -c migrations/alembic.ini downgrade base",
        "alembic -c migrations/alembic.ini downgrade r1",
    ],
)
def test_line_typed_into_a_shell_is_refused_on_production(
    upgraded: Config, folder: Path, database_url: str, typed: str
) -> None:
    path = [str(REPOSITORY / "scripts" / "bin"), str(Path(sys.executable).parent)]
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([*path, os.environ["PATH"]]),
        "ENVIRONMENT": "production",
        "FLASK_APP": "app.py",
    }
    done = subprocess.run(
        ["bash", "-c", typed],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode != 0
    assert "Refused to downgrade" in done.stderr + done.stdout, done.stderr
    assert "Traceback" not in done.stderr
    assert "DROP TABLE" not in done.stdout
    assert _revision(database_url) == "r2"


def test_production_url_is_refused_even_when_the_environment_says_staging(
    upgraded: Config, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "staging")
    plain = database_url.replace("postgresql+psycopg://mina@", "postgres://other@")
    monkeypatch.setenv("PRODUCTION_DATABASE_URL", plain)
    with pytest.raises(DowngradeRefused, match="PRODUCTION_DATABASE_URL"):
        command.downgrade(upgraded, "base")


@pytest.mark.parametrize(
    "spelling",
    [
        "{scheme}://mina@127.1:{port}/{name}",
        "{scheme}://mina@0.0.0.0:{port}/{name}",
        "{scheme}://mina@/{name}?host=127.0.0.1&port={port}",
        "postgres://mina@127.0.0.1:{port}/{name}?application_name=other",
    ],
)
def test_production_is_known_by_any_of_its_names(
    upgraded: Config, database_url: str, monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    url = make_url(database_url)
    monkeypatch.setenv("ENVIRONMENT", "development")
    monkeypatch.setenv(
        "PRODUCTION_DATABASE_URL",
        spelling.format(scheme="postgresql", port=url.port, name=url.database),
    )
    with pytest.raises(DowngradeRefused, match="PRODUCTION_DATABASE_URL"):
        command.downgrade(upgraded, "base")
    assert _revision(database_url) == "r2"


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_production_behind_pgbouncer_is_known(
    upgraded: Config, database_url: str, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    url = make_url(database_url)
    assert url.port
    monkeypatch.setenv("ENVIRONMENT", "development")
    monkeypatch.setenv("PRODUCTION_DATABASE_URL", database_url)
    with running_pgbouncer(url.port, mode) as port:
        monkeypatch.setenv("DATABASE_URL", database_url.replace(f":{url.port}/", f":{port}/"))
        with pytest.raises(DowngradeRefused, match="PRODUCTION_DATABASE_URL"):
            command.downgrade(upgraded, "base")
    assert _revision(database_url) == "r2"


# As `flask db init --multidb` and `alembic init -t async` make them, in short.
_MULTIDB = """
import os
from alembic import context
from sqlalchemy import create_engine, pool
from mina_ops.app.downgrade_guard import refuse_downgrade; refuse_downgrade(context)
for url in (os.environ["OTHER_DATABASE_URL"], os.environ["DATABASE_URL"]):
    with create_engine(url, poolclass=pool.NullPool).connect() as connection:
        context.configure(connection=connection, upgrade_token="u", downgrade_token="d")
        with context.begin_transaction():
            context.run_migrations()
"""
_ASYNC = """
import asyncio, os
from alembic import context
from sqlalchemy import pool
from sqlalchemy.ext.asyncio import create_async_engine
from mina_ops.app.downgrade_guard import refuse_downgrade; refuse_downgrade(context)
def do_run_migrations(connection):
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
async def run_async_migrations():
    url = os.environ["DATABASE_URL"].replace("+psycopg", "+asyncpg")
    connectable = create_async_engine(url, poolclass=pool.NullPool)
    async with connectable.connect() as connection:
        await connection.run_sync(do_run_migrations)
    await connectable.dispose()
asyncio.run(run_async_migrations())
"""
_AUTOCOMMIT = _ENV.replace(
    ".connect() as", '.connect().execution_options(isolation_level="AUTOCOMMIT") as'
)


@pytest.mark.parametrize("env", [_MULTIDB, _ASYNC, _AUTOCOMMIT], ids=["multidb", "async", "auto"])
def test_every_template_of_env_py_is_refused_on_production_and_free_elsewhere(
    upgraded: Config,
    folder: Path,
    database_url: str,
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
    env: str,
) -> None:
    other = postgres.new_database()
    with monkeypatch.context() as patch:
        patch.setenv("DATABASE_URL", other)
        command.upgrade(upgraded, "head")
    (folder / "migrations" / "env.py").write_text(env)
    monkeypatch.setenv("OTHER_DATABASE_URL", other)
    monkeypatch.setenv("ENVIRONMENT", "development")
    production = database_url.replace("127.0.0.1", "127.1").replace("+psycopg", "")
    monkeypatch.setenv("PRODUCTION_DATABASE_URL", production)
    with pytest.raises(DowngradeRefused, match="PRODUCTION_DATABASE_URL"):
        command.downgrade(upgraded, "-1")
    assert _revision(database_url) == "r2"
    monkeypatch.setenv("PRODUCTION_DATABASE_URL", postgres.new_database())
    command.downgrade(upgraded, "-1")
    assert _revision(database_url) == "r1"


def test_guard_behind_configure_says_that_it_guards_nothing(
    upgraded: Config, folder: Path, database_url: str
) -> None:
    line = "refuse_downgrade(context)"
    text = _ENV.replace(f"; {line}", "").replace(
        "connection=connection)", f"connection=connection); {line}"
    )
    (folder / "migrations" / "env.py").write_text(text)
    with pytest.raises(DowngradeRefused, match="put it before"):
        command.downgrade(upgraded, "-1")
    assert _revision(database_url) == "r2"


def test_other_database_of_the_production_server_is_not_production(
    upgraded: Config, database_url: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "development")
    other = postgres.new_database().replace("127.0.0.1", "127.1")
    monkeypatch.setenv("PRODUCTION_DATABASE_URL", other)
    command.downgrade(upgraded, "-1")
    assert _revision(database_url) == "r1"


def test_database_that_bears_the_mark_is_production_without_any_variable(
    upgraded: Config, database_url: str
) -> None:
    name = make_url(database_url).database
    run(parse(database_url), f"ALTER DATABASE {name} SET mina_ops.environment = 'production'")
    with pytest.raises(DowngradeRefused, match="says that it is production"):
        command.downgrade(upgraded, "-1")
    assert _revision(database_url) == "r2"


def test_production_that_cannot_be_asked_stops_a_downgrade_of_nobody_knows_what(
    upgraded: Config, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRODUCTION_DATABASE_URL", "postgresql://mina@127.0.0.1:1/mina")
    with pytest.raises(DowngradeRefused, match="cannot be asked"):
        command.downgrade(upgraded, "-1")
    monkeypatch.setenv("ENVIRONMENT", "development")
    command.downgrade(upgraded, "-1")
    assert _revision(database_url) == "r1"


def test_staging_rehearses_down_and_up_again(
    upgraded: Config, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAGING_DATABASE_URL", database_url)
    monkeypatch.setenv("ENVIRONMENT", "production")
    command.downgrade(upgraded, "-1")
    assert _revision(database_url) == "r1"


def test_offline_sql_of_a_downgrade_is_refused_too(
    upgraded: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    with pytest.raises(DowngradeRefused):
        command.downgrade(upgraded, "r2:r1", sql=True)


def test_upgrade_current_and_stamp_pass_on_production(
    upgraded: Config, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    command.upgrade(upgraded, "head")
    command.current(upgraded)
    command.stamp(upgraded, "r1")
    assert _revision(database_url) == "r1"


@pytest.mark.parametrize(
    ("url", "environ", "production"),
    [
        ("postgresql://db.example.com/mina", {}, True),
        ("postgresql://db.example.com/mina", {"ENVIRONMENT": "staging"}, False),
        ("postgresql://localhost/mina", {}, False),
        ("postgresql://localhost/mina", {"ENVIRONMENT": "prod"}, True),
        ("postgresql://localhost/mina", {"ENVIRONMENT": "rot", "MINA_OPS_COLOURS": "rot"}, True),
        ("sqlite:///dev.db", {}, False),
        ("sqlite:///dev.db", {"PRODUCTION_DATABASE_URL": "sqlite:///./dev.db"}, True),
        (
            "postgresql://127.0.0.1:5432/mina",
            {"PRODUCTION_DATABASE_URL": "postgres://u:p@localhost/mina"},
            True,
        ),
        ("postgresql://db/mina", {"STAGING_DATABASE_URL": "nonsense", "ENVIRONMENT": ""}, True),
    ],
)
def test_what_counts_as_production(url: str, environ: dict[str, str], production: bool) -> None:
    assert (production_reason(make_url(url), environ) is not None) is production


def test_guard_imports_neither_flask_nor_anything_else_of_ours() -> None:
    code = (
        "import sys, mina_ops.app.downgrade_guard\n"
        "own = [m for m in sys.modules if m.startswith('mina_ops')]\n"
        "print(sorted(own), 'flask' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    names = ["mina_ops", "mina_ops.app", "mina_ops.app.downgrade_guard", "mina_ops.errors"]
    names.append("mina_ops.same_database")
    assert done.stdout.strip() == f"{names} False"
