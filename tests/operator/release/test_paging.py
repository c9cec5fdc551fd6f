"""People are paged once for each change of state, again after a while, and once when it is over."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from mina_ops.operator.config import settings
from mina_ops.operator.release.control import Control
from mina_ops.operator.release.journal import Journal
from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.paging import AGAIN_SECONDS, Pages
from mina_ops.operator.release.plan import Plan
from mina_ops.operator.release.release import Record, Release, Site, Surroundings, Target
from mina_ops.operator.traffic import open_driver
from tests.operator.release.test_preview import BASE, COMMAND


class Told:
    """A release whose time stands still, and what was said of it."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.texts: list[str] = []
        found = settings.parse(tomllib.loads(BASE + COMMAND), folder / "mina-ops.toml")
        journal = Journal.create(folder, "v2")
        self.release = Release(
            Target("v2", found.colour("green"), found.colour("blue")),
            Site(found, open_driver(found)),
            Plan(folder=folder),
            Record(journal, Control(journal.folder)),
            Surroundings(lambda _, text: self.texts.append(text), clock=lambda: self.now),
        )


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path)


def test_a_hold_that_counts_on_is_one_page(told: Told) -> None:
    pages = Pages(told.release, Phase.SWITCH)
    for errors in range(41):
        pages.hold({"error_rate": f"{errors} of 500 requests failed"})
    assert told.texts == ["hold: v2 on green: 0 of 500 requests failed"]


def test_another_trigger_is_another_page_and_the_end_is_told_once(told: Told) -> None:
    pages = Pages(told.release, Phase.SWITCH)
    pages.hold({"error_rate": "errors"})
    pages.hold({"error_rate": "errors", "database": "unhealthy"})
    pages.hold({"database": "unhealthy"})
    pages.hold({})
    pages.hold({})
    assert [text.split(":")[0] for text in told.texts] == ["hold", "hold", "over", "over"]


def test_a_state_that_lasts_is_told_again_after_a_while(told: Told) -> None:
    pages = Pages(told.release, Phase.SWITCH)
    pages.once("blind", "figures are stale")
    told.now = AGAIN_SECONDS - 1
    pages.once("blind", "figures are stale")
    told.now = AGAIN_SECONDS
    pages.once("blind", "figures are stale")
    assert len(told.texts) == 2
