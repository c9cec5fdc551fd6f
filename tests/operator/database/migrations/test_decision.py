"""After a failed migration the decision follows from revisions, health and damage alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from mina_ops.errors import ConfigurationError
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.migrations import checking, failure
from mina_ops.operator.database.migrations.decision import Decision, Support, judge
from tests.operator.database.conftest import run
from tests.operator.database.migrations.test_lint import SAFE, UNSAFE, write

BLUE = Support("blue", frozenset({"r1", "r2"}), healthy=True)
GREEN = Support("green", frozenset({"r3"}), healthy=True)


@pytest.mark.parametrize(
    ("revision", "old", "new", "damage", "decision"),
    [
        ("r2", BLUE, GREEN, (), Decision.ROLL_BACK),
        ("r3", BLUE, GREEN, (), Decision.FIX_FORWARD),
        ("r9", BLUE, GREEN, (), Decision.FREEZE),
        (None, BLUE, GREEN, (), Decision.FREEZE),
        ("r2", BLUE, GREEN, ("orphans",), Decision.ROLL_BACK),
        ("r3", BLUE, GREEN, ("orphans",), Decision.FREEZE),
        ("r2", Support("blue", frozenset({"r2"}), healthy=False), GREEN, (), Decision.FREEZE),
        (
            "r2",
            BLUE,
            Support("green", frozenset({"r2"}), healthy=True),
            (),
            Decision.NOTHING,
        ),
    ],
)
def test_decision(
    revision: str | None,
    old: Support,
    new: Support,
    damage: tuple[str, ...],
    decision: Decision,
) -> None:
    found = judge(revision, old, new, damage)
    assert found.decision is decision
    assert found.steps
    assert not any("downgrade" in step for step in found.steps)


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    return write(
        tmp_path / "m",
        "pass",
        SAFE["nullable column"],
        UNSAFE["column dropped"][0],
    )


@pytest.mark.parametrize(
    ("at", "decision"), [("r2", Decision.ROLL_BACK), ("r3", Decision.FIX_FORWARD)]
)
def test_real_database_is_judged_by_what_the_migrations_do(
    mina: Database, migrations: Path, at: str, decision: Decision
) -> None:
    run(mina, f"UPDATE alembic_version SET version_num = '{at}'")
    run(mina, "ALTER TABLE sessions ADD COLUMN summary text")
    found = checking.decide(
        mina, migrations, None, old="blue", new="green", old_head="r1", new_head="r3"
    )
    assert found.decision is decision, found


def test_half_done_migration_is_seen(mina: Database, migrations: Path) -> None:
    run(mina, "UPDATE alembic_version SET version_num = 'r1'")
    run(mina, "ALTER TABLE sessions ADD COLUMN m text")
    run(
        mina,
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'sessions_title'::regclass",
    )
    found = failure.analyse(mina, migrations)
    assert found.at == ("r1",)
    assert [line.split()[0] for line in found.pending] == ["r2", "r3"]
    assert found.half_done == (
        "the column sessions.m of r2 exists already",
        "the index sessions_title of public.sessions is invalid",
    )
    decided = checking.decide(mina, migrations, None, old="blue", new="green", old_head="r1")
    assert decided.decision is Decision.ROLL_BACK
    assert "damage" in decided.reason


def test_timeline_has_the_backups_and_the_releases(tmp_path: Path, migrations: Path) -> None:
    journal = [("2025-10-25T10:00:00", "release v2.5.0: switch")]
    lines = failure.timeline(migrations, tmp_path, journal)
    assert lines == ["2025-10-25 10:00:00  release v2.5.0: switch"]


def test_unknown_old_head_is_asked_for(mina: Database, migrations: Path) -> None:
    with pytest.raises(ConfigurationError, match="--old-head"):
        checking.decide(mina, migrations, None, old="blue", new="green")
