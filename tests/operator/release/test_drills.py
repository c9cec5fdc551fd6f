"""The drills of docs/emergency.md, as they are typed there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import httpx

from tests.operator.release.stand import Stand
from tests.support.wait import eventually

PAGE = Path(__file__).parents[3] / "docs" / "emergency.md"


def _lines() -> list[list[str]]:
    part = PAGE.read_text().split("### Drills")[1]
    block = re.search(r"```sh\n(.*?)```", part, re.S)
    assert block
    return [shlex.split(line.removeprefix("mina-ops ")) for line in block[1].splitlines()]


def test_the_drill_of_the_way_back_moves_nobody_and_leaves_both_colours_serving(
    stand: Stand,
) -> None:
    telling, *way_back = _lines()
    assert telling == ["notify", "drill"]
    for line in way_back:
        outcome = stand.run(*line)
        assert outcome.code == 0, outcome.out + outcome.err
    assert stand.share_of_green() == 0
    for colour in stand.colours.values():
        ready = colour.url + "/api/health/ready"
        eventually(lambda ready=ready: httpx.get(ready, timeout=10).status_code == 200, 20)
    assert stand.run("release", "start", "v2").code == 0
