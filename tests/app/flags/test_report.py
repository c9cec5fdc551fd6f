from __future__ import annotations

from typing import Any

import pytest

from mina_ops.app.flags.model import Flag
from mina_ops.app.flags.report import findings

NOW = 1_790_000_000.0  # 2026-09-21
DAY = 86_400.0


def kinds(changed_days_ago: float | None = 1, **values: Any) -> list[str]:
    flag = Flag("audio").changed({"owner": "ana", **values})
    changed = {} if changed_days_ago is None else {"audio": NOW - changed_days_ago * DAY}
    return [found.kind for found in findings([flag], changed, [], NOW)]


def test_a_flag_in_use_is_not_named() -> None:
    assert kinds(enabled=True) == []
    assert kinds(changed_days_ago=90, enabled=True, rollout_percent=50) == []


@pytest.mark.parametrize(
    ("expires", "found"),
    [
        ("2026-09-20", ["expired"]),
        ("2026-09-21", []),
        ("2026-09-22", []),
        ("2026-09-21T14:00:00+02:00", ["expired"]),
    ],
)
def test_an_expired_flag_is_named_when_its_day_is_over(expires: str, found: list[str]) -> None:
    assert kinds(enabled=True, rollout_percent=50, expires=expires) == found


def test_a_flag_that_is_settled_for_a_month_is_named() -> None:
    assert kinds(changed_days_ago=31, enabled=True) == ["settled_on"]
    assert kinds(changed_days_ago=31, enabled=False) == ["settled_off"]
    assert kinds(changed_days_ago=29, enabled=True) == []
    assert kinds(changed_days_ago=None, enabled=True) == ["settled_on"]


def test_a_limited_flag_is_not_settled() -> None:
    assert kinds(changed_days_ago=90, enabled=True, deny=["7"]) == []
    assert kinds(changed_days_ago=90, enabled=True, colours=["blue"]) == []


def test_a_flag_without_an_owner_and_one_that_only_code_knows_are_named() -> None:
    assert kinds(enabled=True, owner=None) == ["unowned"]
    found = findings([], {}, ["typo"], NOW)
    assert [(f.key, f.kind) for f in found] == [("typo", "unknown")]
