"""The disk check compares free space with its limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from mina_ops.app.health.checks.disk import disk_check
from mina_ops.app.health.model import Unhealthy
from mina_ops.app.native import Native
from mina_ops.app.settings import load


def test_enough_room_is_told_in_percent(tmp_path: Path) -> None:
    check = disk_check(
        load({"MINA_OPS_DISK_PATH": str(tmp_path), "MINA_OPS_DISK_FREE": 0}, {}), Native()
    )
    assert check.run is not None
    found = check.run()
    assert isinstance(found, dict)
    assert 0 <= found["free_percent"] <= 100


def test_less_than_the_limit_is_unfit(tmp_path: Path) -> None:
    check = disk_check(
        load({"MINA_OPS_DISK_PATH": str(tmp_path), "MINA_OPS_DISK_FREE": 100}, {}), Native()
    )
    assert check.run is not None
    with pytest.raises(Unhealthy, match="less than 100 %") as caught:
        check.run()
    assert "free_percent" in caught.value.data
