"""Every `db` command works with a mina-ops.toml that holds `[database]` alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mina_ops.cli import db, main
from mina_ops.operator.database.connection.connect import Database
from tests.operator.database.conftest import ask, run
from tests.operator.database.migrations.test_lint import write
from tests.support.postgres import Postgres

FILE = """
[database]
url_env = "MINE"
restore_env = "ELSEWHERE"
folder = "kept"
migrations = "alembic"
version_table = "alembic_version"
"""
# Each command as one would type it, in an order in which each finds what it needs.
LINES = {
    "backup": "backup --output kept/backup_1.sql",
    "restore": "restore kept/backup_1.sql",
    "integrity": "integrity --manifest kept/backup_1.sql --exact",
    "corruption": "corruption",
    "check": "check",
    "verdict": "verdict --old-head r1",
    "analyse-failure": "analyse-failure --include-timeline",
    "mapped": "mapped models:metadata",
    "offline": "offline bookmarks",
    "online": "online bookmarks",
}


@pytest.fixture
def site(
    mina: Database, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mina-ops.toml").write_text(FILE)
    (tmp_path / "models.py").write_text(
        "import sqlalchemy as sa\nmetadata = sa.MetaData()\n"
        "sa.Table('users', metadata, sa.Column('id', sa.Integer, primary_key=True))\n"
    )
    write(tmp_path / "alembic", "op.execute('SELECT 1')", "op.execute('SELECT 2')")
    run(mina, "UPDATE alembic_version SET version_num = 'r1'")
    monkeypatch.setenv("MINE", mina.url.render_as_string(hide_password=False))
    monkeypatch.setenv("ELSEWHERE", postgres.new_database())
    return tmp_path


def _type(line: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["db", *line.split()])
    return done.exit_code, done.stdout, done.stderr


def test_every_command_needs_no_more_than_its_own_table(site: Path, mina: Database) -> None:
    assert set(LINES) == set(db.command.commands)
    for name, line in LINES.items():
        code, out, err = _type(line)
        assert code == 0, f"{name}: {out}{err}"
    assert ask(mina, "SELECT count(*) FROM bookmarks") == [(20,)]


@pytest.mark.parametrize("line", [line for name, line in LINES.items() if name not in ("mapped",)])
def test_without_a_file_at_all_the_defaults_serve(
    site: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    (site / "mina-ops.toml").unlink()
    code, _, err = _type(line)
    assert code != 0
    assert "is not set" in err or "There is no backup" in err, err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[database]\nurl_env = 7\n", "url_env"),
        ("[database]\nurl = 'postgresql://x'\n", "url"),
        ("[databas]\nurl_env = 'MINE'\n", "databas"),
    ],
)
def test_what_is_wrong_in_the_table_is_named(site: Path, text: str, words: str) -> None:
    (site / "mina-ops.toml").write_text(text)
    code, _, err = _type("integrity")
    assert code == 2
    assert words in err
    assert "public" not in err


def test_report_of_a_run_is_json_for_those_who_want_it(site: Path) -> None:
    code, out, _ = _type("integrity --json")
    assert code == 0
    assert json.loads(out)["clean"]
