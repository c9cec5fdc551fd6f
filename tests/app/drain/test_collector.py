from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from mina_ops.app.drain import collector
from mina_ops.app.drain.collector import Collector


@pytest.fixture(autouse=True)
def _own_thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(50, 5, 2)
    yield
    gc.set_threshold(*before)


# In a process of its own: an app of another test, and what pytest keeps, have a say in when Python
# collects.
_MAKES_OBJECTS = """
import gc
from mina_ops.app.drain.collector import Collector

def full_collections():
    before = gc.get_stats()[2]["collections"]
    kept = [[number] for number in range(50_000)]
    return gc.get_stats()[2]["collections"] - before

gc.freeze()
gc.collect()
gc.set_threshold(50, 5, 2)
one = Collector()
print(full_collections() > 0)
one.put_off()
one.put_off()
print(full_collections())
one.resume()
one.resume()
print(gc.get_threshold(), full_collections() > 0)
"""


def test_no_full_collection_happens_until_it_may() -> None:
    argv = [sys.executable, "-c", _MAKES_OBJECTS]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["True", "0", "(50, 5, 2) True"]


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
