"""A shared dependency that everyone fails takes nobody out."""

from __future__ import annotations

import pytest

from mina_ops.app.health.fleet import Vouchers, failed_by_all, vouchers
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


def _well(processes: int, **more: object) -> Summary:
    said = {"started": processes, "failing": {}, **more}
    return Summary(processes, {"health": said}, 0.0, stale=False)


@pytest.mark.parametrize(
    ("colours", "found"),
    [
        ([_well(20), _well(30)], Vouchers(50)),
        ([_well(20, started=5), _well(0)], Vouchers(5)),
        ([_well(20), _well(30, failing={"database": 1})], Vouchers(49, 1)),
        ([_well(20), _well(30, failing={"disk_space": 30})], Vouchers(50)),
        ([_well(20), Summary(30, {}, 60.0, stale=True)], Vouchers()),
        ([_well(20), Summary()], Vouchers(20)),
        ([], Vouchers()),
    ],
)
def test_those_vouch_who_have_asked_and_are_well(colours: list[Summary], found: Vouchers) -> None:
    assert vouchers("database", colours) == found
