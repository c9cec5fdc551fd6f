"""docs/configuration.md holds the settings as they are in the code."""

from __future__ import annotations

from pathlib import Path

from mina_ops.app import settings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_table_of_settings_is_the_one_that_the_code_makes() -> None:
    assert settings.table() in PAGE.read_text(), (
        "replace the table in docs/configuration.md by what this prints: "
        "python -c 'from mina_ops import settings; print(settings.table())'"
    )


def test_no_setting_is_described_twice() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `MINA_OPS_")]
    keys = [row.split("`")[1] for row in rows]
    assert sorted(set(keys)) == sorted(keys)
