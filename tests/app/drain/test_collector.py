from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from mina_ops.app.drain import collector
from mina_ops.app.drain.collector import Collector


@pytest.fixture(autouse=True)
def _own_thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    # Python puts full collections off by itself while few of all objects are new: hide the old.
    gc.freeze()
    gc.collect()
    gc.set_threshold(50, 5, 2)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def full_collections_while_objects_are_made() -> int:
    before = gc.get_stats()[2]["collections"]
    kept = [[number] for number in range(50_000)]
    assert len(kept) == 50_000
    return int(gc.get_stats()[2]["collections"] - before)


def test_no_full_collection_happens_until_it_may() -> None:
    assert full_collections_while_objects_are_made() > 0
    one = Collector()
    one.put_off()
    one.put_off()
    assert full_collections_while_objects_are_made() == 0
    one.resume()
    one.resume()
    assert gc.get_threshold() == (50, 5, 2)
    assert full_collections_while_objects_are_made() > 0


def test_full_collections_are_not_put_off_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Collector()
    one.put_off()
    monkeypatch.setattr(collector, "MOST_SECONDS", -1.0)
    one.put_off()
    assert gc.get_threshold() == (50, 5, 2)
    one.put_off()
    assert gc.get_threshold() == (50, 5, 2)


def test_what_the_host_set_meanwhile_stays() -> None:
    one = Collector()
    one.put_off()
    gc.set_threshold(70, 7, 7)
    one.resume()
    assert gc.get_threshold() == (70, 7, 7)


def test_a_second_app_of_the_process_restores_nothing_wrong() -> None:
    one, other = Collector(), Collector()
    one.put_off()
    other.put_off()
    one.resume()
    other.resume()
    assert gc.get_threshold() == (50, 5, 2)
