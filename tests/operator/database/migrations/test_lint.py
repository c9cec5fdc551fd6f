"""Ten and more migrations that break or block the running code are caught, with the two-release
advice; as many safe ones pass."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mina_ops.errors import ConfigurationError
from mina_ops.operator.database.migrations import checking, lint, mapped, squawk, statements
from mina_ops.operator.database.migrations.facts import Facts
from mina_ops.operator.database.migrations.lint import LintReport

_HEAD = '''"""{title}"""
import sqlalchemy as sa
from alembic import op
revision = "{revision}"
down_revision = {before}
def upgrade():
    {upgrade}
def downgrade():
    op.execute("SELECT 1")
'''
TIMEOUTS = "op.execute(\"SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '60s'\")"
CONCURRENT = "with op.get_context().autocommit_block():\n        "

MAPPED = {
    "tables": {
        "users": {"id": {"type": "INTEGER", "writes": False}},
        "sessions": {
            "id": {"type": "INTEGER", "writes": False},
            "title": {"type": "VARCHAR(200)", "writes": True},
            "summary": {"type": "TEXT", "writes": False},
            "status": {"type": "VARCHAR(20)", "writes": False},
        },
        "segments": {"id": {"type": "INTEGER", "writes": False}},
    }
}

# name -> (upgrade, rule, words of the advice)
UNSAFE = {
    "column dropped": ("op.drop_column('sessions', 'summary')", "drop_column", "Release 2"),
    "column dropped in a batch": (
        "with op.batch_alter_table('sessions') as batch:\n        batch.drop_column('summary')",
        "drop_column",
        "remove summary from the model",
    ),
    "column dropped in raw SQL": (
        "op.execute('ALTER TABLE public.sessions DROP COLUMN IF EXISTS summary')",
        "drop_column",
        "Release 1: remove summary",
    ),
    "table dropped": ("op.drop_table('segments')", "drop_table", "remove the model"),
    "column renamed": (
        "op.alter_column('sessions', 'title', new_column_name='name')",
        "rename_column",
        "write both, backfill",
    ),
    "table renamed": ("op.rename_table('sessions', 'meetings')", "rename_table", "CREATE VIEW"),
    "required column added": (
        "op.add_column('sessions', sa.Column('mood', sa.String(20), nullable=False))",
        "add_column",
        "nullable or with a server_default",
    ),
    "required column added in raw SQL": (
        "op.execute('ALTER TABLE sessions ADD COLUMN mood varchar(20) NOT NULL')",
        "add_column",
        "server_default",
    ),
    "column becomes required": (
        "op.alter_column('sessions', 'summary', nullable=False)",
        "set_not_null",
        "NOT VALID",
    ),
    "type changed": (
        "op.alter_column('sessions', 'status', type_=sa.Integer(), "
        "existing_type=sa.String(20), postgresql_using='status::integer')",
        "change_type",
        "second column of the new type",
    ),
    "type narrowed": (
        "op.alter_column('sessions', 'title', type_=sa.String(80), existing_type=sa.String(200))",
        "change_type",
        "write both",
    ),
    "default dropped": (
        "op.alter_column('sessions', 'status', server_default=None)",
        "drop_default",
        "let the code give status always",
    ),
    "index not concurrent": (
        "op.create_index('ix_status', 'sessions', ['status'])",
        "create_index",
        "postgresql_concurrently=True",
    ),
    "index not dropped concurrently": (
        "op.drop_index('ix_status', table_name='sessions')",
        "drop_index",
        "postgresql_concurrently=True",
    ),
    "index concurrent, but in a transaction": (
        "op.create_index('ix_status', 'sessions', ['status'], postgresql_concurrently=True)",
        "concurrent_in_transaction",
        "autocommit_block",
    ),
    "foreign key checked at once": (
        "op.create_foreign_key('fk_user', 'sessions', 'users', ['user_id'], ['id'])",
        "add_foreign_key",
        "VALIDATE CONSTRAINT fk_user",
    ),
    "check tested at once": (
        "op.create_check_constraint('titled', 'sessions', \"title <> ''\")",
        "add_check",
        "postgresql_not_valid",
    ),
    "unique constraint": (
        "op.create_unique_constraint('one_title', 'sessions', ['title'])",
        "add_unique",
        "CREATE UNIQUE INDEX CONCURRENTLY",
    ),
    "table emptied": ("op.execute('TRUNCATE segments')", "truncate", "in batches"),
}

SAFE = {
    "nullable column": f"{TIMEOUTS}\n    op.add_column('sessions', sa.Column('m', sa.Text()))",
    "required column with a default": f"{TIMEOUTS}\n    op.add_column('sessions', "
    "sa.Column('mood', sa.String(20), nullable=False, server_default='calm'))",
    "new table with an index": "op.create_table('notes', sa.Column('id', sa.Integer, "
    "primary_key=True), sa.Column('n', sa.Text, nullable=False))\n"
    "    op.create_index('ix_n', 'notes', ['n'])",
    "index concurrent": CONCURRENT
    + "op.create_index('ix_s', 'sessions', ['status'], postgresql_concurrently=True)",
    "index dropped concurrently": CONCURRENT
    + "op.drop_index('ix_s', table_name='sessions', postgresql_concurrently=True)",
    "foreign key not valid": f"{TIMEOUTS}\n    op.create_foreign_key('fk', 'sessions', 'users', "
    "['user_id'], ['id'], postgresql_not_valid=True)",
    "constraint validated": f"{TIMEOUTS}\n    "
    "op.execute('ALTER TABLE sessions VALIDATE CONSTRAINT fk')",
    "wider text": f"{TIMEOUTS}\n    op.alter_column('sessions', 'title', "
    "type_=sa.String(400), existing_type=sa.String(200))",
    "null allowed": f"{TIMEOUTS}\n    op.alter_column('sessions', 'title', nullable=True, "
    "existing_type=sa.String(200))",
    "unmapped column dropped": f"{TIMEOUTS}\n    op.drop_column('sessions', 'legacy')",
    "unmapped table dropped": f"{TIMEOUTS}\n    op.drop_table('legacy')",
    "required where the code always writes": f"{TIMEOUTS}\n    "
    "op.alter_column('sessions', 'title', nullable=False, existing_type=sa.String(200))",
    "check not valid": f'{TIMEOUTS}\n    op.execute("ALTER TABLE sessions ADD CONSTRAINT c '
    "CHECK (title <> '') NOT VALID\")",
}


def ask_rules(
    folder: Path,
    *,
    lower: str | Sequence[str] | None = None,
    facts: Facts | None = None,
    **options: Any,
) -> lint.LintReport:
    """What the rules alone say of the migrations after `lower`."""
    at = (lower,) if isinstance(lower, str) else tuple(lower or ())
    return checking.check(checking.Question(folder, at, **options), facts=facts)


def write(folder: Path, *upgrades: str) -> Path:
    """A folder of migrations r1, r2, ... with these upgrades."""
    (folder / "versions").mkdir(parents=True, exist_ok=True)
    for number, upgrade in enumerate(upgrades, 1):
        before = repr(f"r{number - 1}") if number > 1 else None
        text = _HEAD.format(title="t", revision=f"r{number}", before=before, upgrade=upgrade)
        (folder / "versions" / f"r{number}.py").write_text(text)
    return folder


@pytest.fixture
def mapped_file(tmp_path: Path) -> Path:
    file = tmp_path / "mapped.json"
    file.write_text(json.dumps(MAPPED))
    return file


def _judged(tmp_path: Path, upgrade: str, mapped_file: Path | None) -> LintReport:
    folder = write(tmp_path / "migrations", upgrade)
    return ask_rules(folder, lower=None, mapped_file=mapped_file)


@pytest.mark.parametrize("name", UNSAFE)
def test_unsafe_migration_is_caught_with_its_two_release_advice(
    tmp_path: Path, mapped_file: Path, name: str
) -> None:
    upgrade, rule, advice = UNSAFE[name]
    outside = upgrade.startswith(("op.create_index", "op.drop_index"))
    verdict = _judged(tmp_path, upgrade if outside else f"{TIMEOUTS}\n    {upgrade}", mapped_file)
    assert not verdict.compatible
    assert [danger.rule for danger in verdict.dangers] == [rule], verdict.to_text()
    assert advice in verdict.dangers[0].advice
    assert "{" not in verdict.to_text()


@pytest.mark.parametrize("name", SAFE)
def test_safe_migration_passes(tmp_path: Path, mapped_file: Path, name: str) -> None:
    verdict = _judged(tmp_path, SAFE[name], mapped_file)
    assert verdict.compatible, verdict.to_text()


def test_missing_timeouts_are_caught__the_advice_or_env_py_sets_them(
    tmp_path: Path, mapped_file: Path
) -> None:
    upgrade = "op.add_column('sessions', sa.Column('m', sa.Text()))"
    verdict = _judged(tmp_path, upgrade, mapped_file)
    assert [(d.rule, d.level) for d in verdict.dangers] == [("timeout", "blocking")]
    assert "lock_timeout and statement_timeout missing" in verdict.dangers[0].detail

    lines = verdict.dangers[0].advice.removeprefix("Begin with ").partition(" (after")[0]
    assert _judged(tmp_path, f"{lines}\n    {upgrade}", mapped_file).compatible

    (tmp_path / "migrations" / "env.py").write_text("# sets lock_timeout, statement_timeout\n")
    assert _judged(tmp_path, upgrade, mapped_file).compatible


def test_unknown_running_code_is_taken_to_map_everything(tmp_path: Path) -> None:
    verdict = _judged(tmp_path, SAFE["unmapped column dropped"], None)
    assert not verdict.compatible
    assert "taken to map everything" in verdict.to_text()


def test_only_migrations_after_the_given_one_are_judged(tmp_path: Path, mapped_file: Path) -> None:
    folder = write(tmp_path / "m", UNSAFE["table dropped"][0], SAFE["nullable column"])
    assert ask_rules(folder, lower="r1", mapped_file=mapped_file).revisions == ("r2",)
    assert ask_rules(folder, lower="r1", mapped_file=mapped_file).compatible
    assert not ask_rules(folder, lower=None, mapped_file=mapped_file).compatible


def test_migration_that_reads_the_database_fails_until_somebody_reviewed_it(
    tmp_path: Path, mapped_file: Path
) -> None:
    folder = write(tmp_path / "m", "rows = op.get_bind().execute(sa.text('SELECT 1')).fetchall()")
    verdict = ask_rules(folder, lower=None, mapped_file=mapped_file)
    assert [danger.rule for danger in verdict.dangers] == ["unjudged"]
    assert not verdict.compatible
    assert ask_rules(folder, lower=None, mapped_file=mapped_file, reviewed=["r1"]).compatible


def test_downgrade_that_does_nothing_is_a_note_only(tmp_path: Path, mapped_file: Path) -> None:
    folder = write(tmp_path / "m", SAFE["nullable column"])
    file = folder / "versions" / "r1.py"
    file.write_text(file.read_text().replace('op.execute("SELECT 1")', "pass"))
    verdict = ask_rules(folder, lower=None, mapped_file=mapped_file)
    assert [danger.rule for danger in verdict.dangers] == ["irreversible"]
    assert verdict.compatible


def test_squawk_adds_a_rule_that_is_not_ours(tmp_path: Path, mapped_file: Path) -> None:
    upgrade = f"{TIMEOUTS}\n    op.execute('DROP DATABASE other')"
    verdict = _judged(tmp_path, upgrade, mapped_file)
    assert squawk.find()
    assert [danger.rule for danger in verdict.dangers] == ["squawk:ban-drop-database"]


def test_without_squawk_the_verdict_says_so(
    tmp_path: Path, mapped_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    verdict = _judged(tmp_path, UNSAFE["table dropped"][0], mapped_file)
    assert "squawk is not installed" in verdict.to_text()
    assert "drop_table" in {danger.rule for danger in verdict.dangers}


@pytest.mark.parametrize(
    ("arrange", "message"),
    [
        (lambda folder: folder / "nowhere", "holds no migrations"),
        (lambda folder: write(folder / "m", "pass"), "is in no migration"),
    ],
)
def test_bad_folder_or_revision_is_refused(tmp_path: Path, arrange: object, message: str) -> None:
    folder = arrange(tmp_path)  # type: ignore[operator]
    with pytest.raises(ConfigurationError, match=message):
        ask_rules(folder, lower="nobody")


def test_two_heads_are_both_judged(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", "pass", "pass")
    extra = (folder / "versions" / "r2.py").read_text().replace('"r2"', '"r2b"')
    (folder / "versions" / "r2b.py").write_text(extra)
    assert set(ask_rules(folder, lower=None).revisions) == {"r1", "r2", "r2b"}


def test_broken_migration_is_refused_with_its_reason(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", "pass")
    (folder / "versions" / "r1.py").write_text("def upgrade(:\n")
    with pytest.raises(ConfigurationError, match="The migrations in"):
        ask_rules(folder, lower=None)


def test_sqlite_knows_no_locks_but_the_same_contracts(tmp_path: Path, mapped_file: Path) -> None:
    folder = write(tmp_path / "m", UNSAFE["index not concurrent"][0])
    assert ask_rules(folder, lower=None, mapped_file=mapped_file, dialect="sqlite").compatible


def test_mapped_columns_of_the_demo_are_read_from_its_models() -> None:
    found = mapped.of_code("mina_ops.demo.models:db")
    assert found.has_column("sessions", "title")
    assert found.always_writes("sessions", "title")
    assert not found.always_writes("sessions", "id")
    assert not found.has_table("legacy")


@pytest.mark.parametrize("spec", ["no.such.module:db", "json:loads", "json:nothing"])
def test_code_without_metadata_is_refused(spec: str) -> None:
    with pytest.raises(ConfigurationError):
        mapped.of_code(spec)


def test_sql_is_split_at_its_own_semicolons() -> None:
    sql = "SELECT ';' -- no; end\n; /* a;b */ DO $x$ BEGIN; END $x$; SELECT \"a;b\""
    assert statements.split(sql) == ["SELECT ';'", "DO $x$ BEGIN; END $x$", 'SELECT "a;b"']
