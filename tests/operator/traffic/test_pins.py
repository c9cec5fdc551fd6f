"""Which release each colour's open pages are of, while the split is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mina_ops.errors import ConfigurationError
from mina_ops.operator.config import settings
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.traffic.model import Split
from mina_ops.operator.traffic.pins import forgetting, pinned
from tests.operator.balancers import Balancer
from tests.operator.stand_in import StandIns

BLUE, GREEN = Split({"blue": 100, "green": 0}), Split({"blue": 0, "green": 100})
BOTH = {"blue": "v1.0.0", "green": "v2.0.0"}


@pytest.fixture
def site(tmp_path: Path, apps: StandIns) -> OperatorSettings:
    apps.fleets["green"].version = "v2.0.0"
    file = tmp_path / "mina-ops.toml"
    file.write_text(f'[public]\nurl = "http://127.0.0.1:9"\n{apps.toml()}')
    return settings.load(file)


def keeping(releases: dict[str, str], green: int = 0) -> Split:
    return Split({"blue": 100 - green, "green": green}, {}, releases)


def test_both_releases_are_kept_once_the_second_has_visitors(site: OperatorSettings) -> None:
    assert pinned(site, BLUE, BLUE).releases == {"blue": "v1.0.0"}
    assert pinned(site, BLUE, GREEN).releases == BOTH
    assert pinned(site, BLUE, keeping({}, 10)).releases == BOTH
    assert pinned(site, BLUE, BLUE.with_cohort(["7"], "green")).releases == BOTH
    assert pinned(site, keeping(BOTH, 100), BLUE).releases == BOTH


def test_what_an_idle_colour_runs_anew_gets_no_pages_of_its_old_release(
    site: OperatorSettings, apps: StandIns
) -> None:
    before = keeping(BOTH)
    apps.fleets["green"].version = "v3.0.0"
    assert pinned(site, before, BLUE).releases == {"blue": "v1.0.0"}
    assert pinned(site, before, GREEN).releases == {"blue": "v1.0.0", "green": "v3.0.0"}


@pytest.mark.parametrize("name", ["v1.0.0", "unknown", "../x", "v2 beta"])
def test_pages_that_cannot_be_told_apart_are_not_kept(
    site: OperatorSettings, apps: StandIns, name: str
) -> None:
    apps.fleets["green"].version = name
    expected = {} if name == "v1.0.0" else {"blue": "v1.0.0"}
    assert pinned(site, BLUE, GREEN).releases == expected
    with pytest.raises(ConfigurationError):
        Split({"blue": 50, "green": 50}, {}, {"blue": "v1", "green": "v1"})


def test_a_colour_that_does_not_answer_keeps_what_is_known(
    site: OperatorSettings, apps: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINA_OPS_PATIENCE", "1")
    for one in apps.instances["green"]:
        one.silent = True
    assert pinned(site, keeping(BOTH, 100), BLUE).releases == BOTH
    assert pinned(site, keeping({}, 100), BLUE).releases == {"blue": "v1.0.0"}


def test_a_release_that_is_taken_back_keeps_no_pages() -> None:
    assert forgetting(keeping(BOTH, 50), "green") == keeping({"blue": "v1.0.0"}, 50)


def test_the_app_hears_that_a_page_was_kept_from_the_other_colour(balancer: Balancer) -> None:
    balancer.driver.apply(keeping(BOTH, 100))
    kept = balancer.get("/api", X_Mina_Release="v1.0.0")
    assert (kept.colour, kept.body["headers"]["x-mina-elsewhere"]) == ("blue", "1")
    for headers in ({}, {"X_Mina_Release": "v2.0.0"}, {"X_Mina_Elsewhere": "1"}):
        found = balancer.get("/api", **headers)
        assert (found.colour, found.body["headers"].get("x-mina-elsewhere")) == ("green", None)
