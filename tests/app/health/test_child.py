"""A check in a forked child: its result comes back, and it ends in time whatever it does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import psutil
import pytest

from mina_ops.app.health.child import in_child
from mina_ops.app.health.model import Result

SECONDS = 30.0


def _ends(**found: Any) -> Callable[[], Result]:
    return lambda: Result(ok=True, ended=time.monotonic(), latency_seconds=0.5, **found)


def test_what_it_found_comes_back() -> None:
    outcome = in_child(_ends(data=MappingProxyType({"voices": 3})), seconds=SECONDS)
    assert (outcome.ok, outcome.data, outcome.latency_seconds) == (True, {"voices": 3}, 0.5)


def test_it_is_another_process() -> None:
    outcome = in_child(lambda: _ends(data={"pid": os.getpid()})(), seconds=SECONDS)
    assert outcome.data["pid"] != os.getpid()


@pytest.mark.parametrize("value", ["x" * 200_000, {1, 2}, object()])
def test_what_is_too_long_or_no_json_does_no_harm(value: Any) -> None:
    assert in_child(_ends(data={"value": value}), seconds=SECONDS).ok


def test_one_that_hangs_is_killed_at_its_deadline() -> None:
    outcome = in_child(lambda: time.sleep(3600) or _ends()(), seconds=0.2)
    assert (outcome.ok, outcome.error) == (False, "timeout")


def test_one_that_dies_is_told() -> None:
    outcome = in_child(lambda: os._exit(3), seconds=SECONDS)  # type: ignore[arg-type, return-value]
    assert (outcome.ok, outcome.error) == (False, "error")


def test_none_is_left_over() -> None:
    # Servers that other tests of this run share are children of this process, too.
    before = {child.pid for child in psutil.Process().children()}
    for _ in range(3):
        in_child(_ends(), seconds=SECONDS)
    assert {child.pid for child in psutil.Process().children()} <= before
