"""A shared dependency that everyone fails takes nobody out."""

from __future__ import annotations

from typing import Any

import pytest

from mina_ops.app.health.fleet import failed_by_all

DOWN = {"failing": ["database", "disk_space"]}
UP: dict[str, Any] = {"failing": []}
SHARED = ("database", "redis")


@pytest.mark.parametrize(
    ("reports", "tolerated"),
    [
        ([DOWN, DOWN], {"database"}),
        ([DOWN, UP], set()),
        ([DOWN, DOWN, {}], set()),
        ([DOWN, {"failing": None}], set()),
        ([DOWN], set()),
        ([], set()),
    ],
)
def test_only_what_every_one_of_several_processes_fails_is_tolerated(
    reports: list[dict[str, Any]], tolerated: set[str]
) -> None:
    assert failed_by_all(DOWN["failing"], SHARED, reports) == tolerated


def test_what_only_peers_fail_is_not_named() -> None:
    assert failed_by_all(["redis"], SHARED, [DOWN, DOWN]) == set()
