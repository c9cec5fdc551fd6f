"""The second act: two bad releases of green, each judged, and taken back by itself.

Green is started anew with a fault, `mina-ops release` sends it half of the visitors, and what
follows is the product's own work. The first act's figures are not touched by it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from mina_ops.demo.crowd import Reporter, start_load
from mina_ops.demo.show import Show
from mina_ops.demo.stage import VERSIONS, Stage
from mina_ops.errors import OperatorError, RolledBack
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.config.settings import OperatorSettings, load
from mina_ops.operator.release import opening, runner
from mina_ops.operator.release import plan as plans
from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.release import Observer, Release, Site
from mina_ops.operator.release.verdicts.model import Figures, Judgement, Response, Verdict
from mina_ops.operator.release.verdicts.statistics import quantile
from mina_ops.operator.traffic import open_driver
from mina_ops.operator.traffic.model import Split

OLD, NEW = "blue", "green"
LEAST_SLOW_MS = 100.0
# How soon the playbook's scenarios 1 and 2 want the release taken back.
INSTANT_SECONDS = 120.0
GRADUAL_SECONDS = 300.0

_RELEASE = """
[release]
folder = "{folder}"
steps = [50, 100]
step_seconds = {step_seconds}
look_seconds = 0.5
patience_seconds = 90
watch_seconds = 5
drain_grace_seconds = 2
gradual_seconds = 3
health_looks = 1
# Nobody opens a WebSocket here: a release that is not taken back would wait for such figures.
no_data = "rollback"

[release.triggers]
# All servers of one machine write the database's file, and are slow at it; that is not judged.
database_ms = 5000
"""


@dataclass(frozen=True)
class BadRelease:
    """A release that must be taken back, and how soon after it first had visitors."""

    title: str
    fault: Mapping[str, str]
    response: Response
    within_seconds: float


def play(stage: Stage, show: Show, requests_per_second: float) -> None:
    """Release a green that fails and a green that is slow; both must be taken back.

    The slow one stands at the end.

    Raises:
        OperatorError: one of them was not taken back in time, or failed more requests than the
            canary's share.
    """
    show.act("Second act: bad releases, judged and taken back by themselves")
    settings = _with_release_plan(stage)
    open_driver(settings).apply(Split.all_to(OLD, settings.colours))
    with ExitStack() as running:
        folder, url = stage.folder / "second-act", settings.public_url
        crowd = start_load(folder, url, stage.keys.test_token, requests_per_second)
        running.enter_context(crowd.server)
        _wait_for_requests(crowd, 200)
        for bad in (_failing(), _slow(stage)):
            show.act(bad.title)
            stage.start_anew(NEW, bad.fault)
            _release(settings, show, crowd, bad)


def restore_green(stage: Stage) -> None:
    """Start green anew without faults, for whoever looks around afterwards (`--keep`).

    Raises:
        ServerFailed: it did not start.
        OperatorError: it does not take back the drain that ended the bad release.
    """
    stage.start_anew(NEW)
    with AppClient(NEW, stage.settings.colours[NEW].url, token=stage.keys.admin_token) as green:
        green.cancel_drain()


def _failing() -> BadRelease:
    title = "Scenario 1: green fails 8 % of its requests"
    return BadRelease(title, {"DEMO_ERROR_PERCENT": "8"}, Response.INSTANT, INSTANT_SECONDS)


def _slow(stage: Stage) -> BadRelease:
    with AppClient(OLD, stage.settings.colours[OLD].url) as blue:
        p95 = float(blue.metric("performance", window_seconds=30).get("p95_ms") or 0.0)
    more = max(LEAST_SLOW_MS, 1.5 * p95)
    title = f"Scenario 2: green takes {more:.0f} ms longer (blue's P95 is {p95:.0f} ms)"
    return BadRelease(title, {"DEMO_SLOW_MS": f"{more:.0f}"}, Response.GRADUAL, GRADUAL_SECONDS)


def _release(settings: OperatorSettings, show: Show, crowd: Reporter, bad: BadRelease) -> None:
    before = crowd.report()
    site = Site(settings, open_driver(settings))
    with opening.locked(site, bad.title, folder=plans.read(settings).folder):
        release = opening.begin(site, VERSIONS[NEW], settings.colour(NEW))
        release.surroundings.observer = _Lines(show)
        try:
            runner.run(release)
        except RolledBack as verdict:
            show.step(f"verdict: {verdict}")
        else:
            raise OperatorError(f"{bad.title}: it was released instead of taken back.")
    seconds = _seconds_to_rollback(release, bad)
    show.step(f"taken back {seconds:.1f} s after green's first visitor, {bad.response}")
    _expect_within_share(show, before, crowd)


def _seconds_to_rollback(release: Release, bad: BadRelease) -> float:
    entries = release.journal.entries()
    first = next(e.at for e in entries if e.event == "step")
    back = next(e for e in entries if e.phase is Phase.ROLLING_BACK and e.event == "begin")
    settled = next(e.at for e in entries if e.detail.get("traffic") == OLD)
    if back.detail.get("response") != bad.response or settled - first > bad.within_seconds:
        raise OperatorError(
            f"{bad.title}: taken back after {settled - first:.0f} s, "
            f"{back.detail.get('response')}; expected {bad.response} within "
            f"{bad.within_seconds:g} s."
        )
    return settled - first


def _expect_within_share(show: Show, before: Mapping[str, int], crowd: Reporter) -> None:
    time.sleep(1.0)  # the crowd reports twice a second
    after = crowd.report()
    requests = int(after["requests"]) - int(before["requests"])
    failed = int(after["failed"]) - int(before["failed"])
    show.step(f"{failed} of {requests} requests failed meanwhile, at most half went to green")
    if failed > requests / 2:
        raise OperatorError(f"{failed} of {requests} requests failed: more than green's share.")


def _wait_for_requests(crowd: Reporter, number: int) -> None:
    deadline = time.monotonic() + 30.0
    while crowd.report().get("requests", 0) < number:
        if time.monotonic() > deadline:
            raise OperatorError("The crowd of the second act sends no requests.")
        time.sleep(0.1)


def _with_release_plan(stage: Stage) -> OperatorSettings:
    file = stage.folder / "release.toml"
    plan = _RELEASE.format(folder=stage.folder / "releases", step_seconds=15)
    file.write_text(stage.settings.file.read_text() + plan)
    return load(file)


class _Lines(Observer):
    """What the release says, as steps of the show; a look when a verdict changes."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._verdicts: list[tuple[str, Verdict]] = []

    def phase(self, phase: Phase, text: str) -> None:
        self._show.step(f"{phase}: {text}")

    def split(self, split: Split) -> None:
        self._show.step(f"traffic: {split.describe()}")

    def look(self, new: Figures, old: Figures, judgement: Judgement, seconds: float) -> None:
        verdicts = [(finding.trigger, finding.verdict) for finding in judgement.findings]
        if verdicts == self._verdicts:
            return
        self._verdicts = verdicts
        p95 = [quantile(figures.histogram, 0.95) or 0.0 for figures in (new, old)]
        said = ", ".join(f"{t} {v}" for t, v in verdicts if v is not Verdict.PASS) or "all pass"
        self._show.step(
            f"after {seconds:.0f} s: green {new.errors} of {new.requests} failed, P95 "
            f"{p95[0]:.0f} ms against {p95[1]:.0f} ms: {said}"
        )

    def drain(self, colour: str, remaining: int | None) -> None:
        """Nobody is connected in this act."""
