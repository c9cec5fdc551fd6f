"""A shared dependency that everyone fails takes nobody out."""

from __future__ import annotations

import pytest

from mina_ops.app.health.fleet import failed_by_all
from mina_ops.app.state.summary import Summary

SHARED = ("database", "redis")
FAILING = ("database", "disk_space")


def _colour(processes: int, *, stale: bool = False, **failing: int) -> Summary:
    return Summary(processes, {"health": {"failing": failing}}, 0.0, stale)


@pytest.mark.parametrize(
    ("colours", "tolerated"),
    [
        ([_colour(2, database=2, disk_space=2)], {"database"}),
        ([_colour(1, database=1), _colour(3, database=3)], {"database"}),
        ([_colour(1, database=1), _colour(3, database=2)], set()),
        ([_colour(2, disk_space=2)], set()),
        ([_colour(1, database=1)], set()),
        ([_colour(2, database=2), _colour(0, stale=True)], {"database"}),
        ([_colour(2, database=2), _colour(1, stale=True, database=1)], set()),
        ([Summary(2, {}, 0.0, stale=False)], set()),
        ([], set()),
    ],
)
def test_only_what_every_one_of_several_processes_fails_is_tolerated(
    colours: list[Summary], tolerated: set[str]
) -> None:
    assert failed_by_all(FAILING, SHARED, colours) == tolerated


def test_what_only_peers_fail_is_not_named() -> None:
    assert failed_by_all(["redis"], SHARED, [_colour(2, database=2)]) == set()
