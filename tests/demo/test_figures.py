from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from mina_ops.demo.figures import Figures, milliseconds

GOOD = Figures(10_000, 0, 240, 240, 20_000, 0, 0, 6, 8.1, 12.5, 25.3)


def test_a_play_without_loss_has_no_faults() -> None:
    assert GOOD.faults() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"requests": 0}, "No request was sent"),
        ({"failed_requests": 1}, "1 of 10000 requests failed"),
        ({"chunks_sent": 0}, "No chunk was sent"),
        ({"chunks_lost": 3}, "3 of 20000 chunks were lost"),
        ({"chunks_duplicated": 2}, "2 chunks were handled more than once"),
        ({"switches": 4}, "Only 4 switches"),
        ({"drain_seconds": None}, "not drained"),
    ],
)
def test_whatever_went_wrong_is_a_fault(change: dict[str, int | None], said: str) -> None:
    (fault,) = replace(GOOD, **change).faults()  # type: ignore[arg-type]
    assert said in fault


def test_the_json_has_exactly_the_figures_in_their_order() -> None:
    assert list(json.loads(GOOD.to_json())) == [
        "requests",
        "failed_requests",
        "clients",
        "reconnected",
        "chunks_sent",
        "chunks_lost",
        "chunks_duplicated",
        "switches",
        "switch_ms_p50",
        "switch_ms_max",
        "drain_seconds",
    ]
    assert json.loads(GOOD.to_json()) == asdict(GOOD)


def test_switch_times_are_their_median_and_maximum() -> None:
    assert milliseconds([5.04, 1.0, 9.0]) == (5.0, 9.0)
    assert milliseconds([]) == (None, None)
