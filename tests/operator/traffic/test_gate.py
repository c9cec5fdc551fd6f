"""Only a colour whose every process is ready may get traffic."""

from __future__ import annotations

from pathlib import Path

import pytest

from mina_ops.errors import AppUnhealthy, AppUnreachable
from mina_ops.operator.config import settings
from mina_ops.operator.config.colours import Colour
from mina_ops.operator.traffic.gate import require_ready
from tests.operator.balancers import write_toml
from tests.operator.stand_in import StandIns


@pytest.fixture
def green(tmp_path: Path, apps: StandIns) -> Colour:
    toml = write_toml(tmp_path, apps, 1, '[traffic]\ndriver = "nginx"\n')
    return settings.load(toml).colour("green")


def test_a_colour_that_is_ready_passes(green: Colour, apps: StandIns) -> None:
    require_ready(green)
    asked = [one.seen["/api/health/ready"] for one in apps.instances["green"]]
    assert asked == [1, 1]


def test_one_instance_that_is_not_ready_is_enough(green: Colour, apps: StandIns) -> None:
    apps.instances["green"][1].ready = False
    with pytest.raises(AppUnhealthy, match=r"green instance 1 is not ready \(draining\)"):
        require_ready(green)


def test_one_instance_that_is_gone_is_enough(green: Colour, apps: StandIns) -> None:
    apps.stop_instance(apps.instances["green"][1])
    with pytest.raises(AppUnreachable, match="green instance 1 cannot be reached"):
        require_ready(green)


def test_instances_that_the_file_does_not_list_are_not_asked(apps: StandIns) -> None:
    address = apps.instances["green"][0].address
    colour = Colour("green", f"http://{address}", {"0": address}, own_probes=False)
    require_ready(colour)
    assert apps.instances["green"][0].seen["/api/health/ready"] == 1
