"""docs/releases.md holds the plan's keys as they are in the code."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from mina_ops.operator.release import reference
from mina_ops.operator.release.model import Triggers
from mina_ops.operator.release.plan import Plan

PAGE = Path(__file__).parents[3] / "docs" / "releases.md"
OWN_TABLES = {"hooks", "approvals", "triggers"}


def test_the_page_has_the_tables_that_the_code_makes() -> None:
    assert reference.tables() in PAGE.read_text(), (
        "replace the tables in docs/releases.md by what this prints: python -c "
        "'from mina_ops.operator.release import reference; print(reference.tables())'"
    )


def test_every_key_of_the_plan_and_of_its_triggers_is_described() -> None:
    rows = [line.split("`")[1] for line in reference.tables().splitlines() if line[:3] == "| `"]
    keys = [spec.name for spec in (*fields(Plan), *fields(Triggers))]
    assert rows == [key for key in keys if key not in OWN_TABLES]
