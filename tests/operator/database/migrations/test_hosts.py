"""`db check` on hosts with several databases, schemas of versions, and migrations that ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mina_ops.cli import main
from mina_ops.operator.database.connection.connect import Database, parse
from tests.operator.database.conftest import run
from tests.operator.database.migrations.test_lint import TIMEOUTS, write

_SAFE = f"{TIMEOUTS}\n    op.add_column('users', sa.Column('m', sa.Text()))"
_LOST = f"{TIMEOUTS}\n    op.drop_column('users', 'email')"
_APP = """
from flask import Flask
app = Flask(__name__)
app.config["WIDTH"] = 40
"""
# As `flask db init --multidb` makes env.py: it cannot even be imported outside the app.
_ENV = """
import os
from flask import current_app
from mina_ops.app.downgrade_guard import refuse_downgrade; refuse_downgrade(context)
url = os.environ["NOBODY_SET_THIS"] + current_app.config["URL"]
"""


@pytest.fixture
def folder(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.delenv("FLASK_APP", raising=False)
    run(parse(database_url), "CREATE TABLE users (id int PRIMARY KEY, email text)")
    return tmp_path / "migrations"


def _type(*words: str) -> tuple[int, dict[str, Any] | str]:
    done = CliRunner().invoke(main, ["db", "check", "--json", *words])
    assert "Traceback" not in done.output
    return done.exit_code, json.loads(done.stdout) if done.stdout else done.stderr


def _rules(found: dict[str, Any] | str) -> list[str]:
    assert isinstance(found, dict), found
    return [item["rule"] for item in found["findings"] if item["level"] != "note"]


def _at(database_url: str, revision: str, table: str = "public.alembic_version") -> None:
    database: Database = parse(database_url)
    run(database, f"CREATE TABLE {table} (version_num varchar(32) PRIMARY KEY)")
    run(database, f"INSERT INTO {table} VALUES ('{revision}')")


def test_env_py_that_needs_an_app_and_variables_is_not_run(folder: Path, database_url: str) -> None:
    write(folder, _SAFE, _LOST)
    (folder / "env.py").write_text(_ENV)
    _at(database_url, "r1")
    code, found = _type()
    assert (code, _rules(found)) == (11, ["drop_column"])


def test_each_of_several_databases_is_judged_by_its_own_part(folder: Path) -> None:
    write(folder, "pass")
    file = folder / "versions" / "r1.py"
    text = file.read_text().replace("def upgrade():", "def upgrade(engine_name):")
    text = text.replace("    pass", '    globals()["upgrade_%s" % engine_name]()', 1)
    file.write_text(f"{text}\ndef upgrade_():\n    {_SAFE}\ndef upgrade_logs():\n    {_LOST}\n")
    (folder / "env.py").write_text(_ENV)
    assert _type()[0] == 0
    for words in (("--bind", "logs"), ("--bind", "logs", "--rules-only")):
        code, found = _type(*words)
        assert (code, _rules(found)) == (11, ["drop_column"])
    code, said = _type("--bind", "log")
    assert code == 2
    assert "know no database 'log'; say one of: none (the default), --bind logs" in str(said)


def test_version_table_in_a_schema_counts_where_the_file_says_so(
    folder: Path, database_url: str
) -> None:
    write(folder, _LOST, _SAFE)
    run(parse(database_url), "CREATE SCHEMA ops; CREATE SCHEMA old;")
    _at(database_url, "r1", "ops.alembic_version")
    code, found = _type()
    assert (code, _rules(found)) == (0, []), "the only one of its name counts, wherever it is"
    _at(database_url, "r2", "old.alembic_version")
    code, said = _type()
    assert code == 2
    assert 'version_table = "old.alembic_version"' in str(said)
    (folder.parent / "mina-ops.toml").write_text(
        '[database]\nversion_table = "ops.alembic_version"\n'
    )
    code, found = _type()
    assert (code, _rules(found)) == (0, [])
    assert isinstance(found, dict)
    assert found["revisions"] == ["r2"]


@pytest.mark.parametrize("when", ["import", "upgrade"])
def test_migration_that_reads_a_variable_says_which_one_to_set(
    folder: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    column = "op.add_column('users', sa.Column('m', sa.String(WIDTH)))"
    reads = "import os\nWIDTH = int(os.environ['WIDTH'])\n"
    _with_head(
        folder,
        reads if when == "import" else "import os\n",
        column.replace("WIDTH", "WIDTH" if when == "import" else "int(os.environ['WIDTH'])"),
    )
    code, said = _type()
    assert code in (2, 11)
    assert "the variable" in str(said)
    assert "WIDTH" in str(said)
    monkeypatch.setenv("WIDTH", "40")
    assert _type()[0] == 0


@pytest.mark.parametrize("when", ["import", "upgrade"])
def test_migration_that_asks_the_app_is_judged_in_the_app_of_flask_app(
    folder: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    head = "from flask import current_app\n"
    head += "WIDTH = current_app.config['WIDTH']\n" if when == "import" else ""
    width = "WIDTH" if when == "import" else "current_app.config['WIDTH']"
    _with_head(folder, head, f"op.add_column('users', sa.Column('m', sa.String({width})))")
    code, said = _type()
    assert code in (2, 11)
    assert "it asks the app; set FLASK_APP" in str(said)
    (folder.parent / "app.py").write_text(_APP)
    monkeypatch.setenv("FLASK_APP", "app.py")
    code, found = _type()
    assert code == 0, found
    monkeypatch.setenv("FLASK_APP", "nowhere.py")
    code, said = _type()
    assert code == 2
    assert "FLASK_APP=nowhere.py cannot be loaded" in str(said)


def _with_head(folder: Path, head: str, upgrade: str) -> None:
    write(folder, f"{TIMEOUTS}\n    {upgrade}")
    file = folder / "versions" / "r1.py"
    file.write_text(
        file.read_text().replace("import sqlalchemy as sa\n", f"import sqlalchemy as sa\n{head}", 1)
    )
