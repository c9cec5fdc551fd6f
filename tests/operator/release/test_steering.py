"""A release between people, commands and accidents, on real servers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mina_ops.demo.processes import free_port
from mina_ops.errors import AppUnreachable, ConfigurationError, RolledBack
from mina_ops.operator.config.colours import Colour
from mina_ops.operator.config.settings import load
from mina_ops.operator.release import opening, phases
from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.release import Observer, Release, Site
from mina_ops.operator.release.rollback import roll_back
from mina_ops.operator.release.verdicts.figures import from_json
from mina_ops.operator.release.verdicts.model import Response
from mina_ops.operator.release.verdicts.statistics import quantile
from mina_ops.operator.traffic import gate
from mina_ops.operator.traffic.base import Applied, Reading, TrafficDriver
from mina_ops.operator.traffic.model import Split
from tests.operator.release.stand import QUICK, TOKEN, Stand, ended, traffic
from tests.support.command import MINA_OPS
from tests.support.wait import eventually
from tests.support.webhook import receiving

SLOW = QUICK.replace("step_seconds = 0.3", "step_seconds = 40")


class Splits(Observer):
    """Keeps green's shares; asks for an abort at the first if told to."""

    def __init__(self, release: Release, *, abort: bool = False) -> None:
        self.release, self.abort = release, abort
        self.green: list[int] = []

    def split(self, split: Split) -> None:
        self.green.append(split.percent["green"])
        if self.abort and len(self.green) == 1:
            self.release.control.ask("abort")


@pytest.fixture
def release(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> Iterator[Release]:
    """A release of v2 to green, whose controller is this process, in the switch at 10 %."""
    monkeypatch.setenv("MINA_OPS_TOKEN", TOKEN)
    with closing(_at_ten_percent(stand)) as release:
        yield release


def _at_ten_percent(stand: Stand) -> Release:
    settings = load(stand.file)
    release = opening.begin(Site(settings, stand.driver), "v2", settings.colour("green"))
    release.journal.write("begin", Phase.SWITCH)
    release.journal.write("step", Phase.SWITCH, percent=10)
    release.give(10)
    return release


def _run_switch(release: Release) -> None:
    for step in phases.steps_of(release, Phase.SWITCH):
        step.act()


def _begun(stand: Stand) -> list[str]:
    return [entry["phase"] for entry in stand.entries() if entry["event"] == "begin"]


def test_a_gradual_rollback_never_gives_the_bad_colour_more(stand: Stand, release: Release) -> None:
    seen = release.surroundings.observer = Splits(release)
    with pytest.raises(RolledBack):
        roll_back(release, Response.GRADUAL, ["slow"])
    assert seen.green == [10, 0]


def test_an_abort_ends_the_wait_of_a_gradual_rollback(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINA_OPS_TOKEN", TOKEN)
    stand.plan(QUICK.replace("gradual_seconds = 0.2", "gradual_seconds = 600"))
    with closing(_at_ten_percent(stand)) as release:
        seen = release.surroundings.observer = Splits(release, abort=True)
        with pytest.raises(RolledBack):
            roll_back(release, Response.GRADUAL, ["slow"])
    assert seen.green == [10, 0]


def test_each_share_is_compared_with_the_old_colour_of_the_share_before(stand: Stand) -> None:
    """As in a release of some hours, in which the evening makes both colours slower."""
    judged = QUICK.replace("step_seconds = 0.3", "step_seconds = 8")
    stand.plan(judged.replace("patience_seconds = 0", "patience_seconds = 30"))
    with traffic(stand.port, visitors=10) as seen:
        eventually(lambda: sum(seen["status"].values()) > 200)
        release = stand.start("release", "start", "v2")
        stand.until_given(50)
        for colour in ("blue", "green"):
            stand.faults(colour, slow_ms=150)
        assert ended(release).code == 0
    before, first, *_ = (
        quantile(from_json(entry["baseline"]).histogram, 0.95) or 0.0
        for entry in stand.entries()
        if "baseline" in entry
    )
    assert before < 150 < first


def test_one_answer_that_does_not_come_before_a_share_takes_nothing_back(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINA_OPS_TOKEN", TOKEN)
    stand.plan(QUICK)
    asked = gate.require_ready
    silent = iter([True, False, True])

    def busy(colour: Colour) -> None:
        if next(silent, False):
            raise AppUnreachable(f"{colour.name} does not answer in time")
        asked(colour)

    monkeypatch.setattr(gate, "require_ready", busy)
    with closing(_at_ten_percent(stand)) as release:
        _run_switch(release)
    assert stand.share_of_green() == 100
    assert not list(silent)


class AllOrNothing(TrafficDriver):
    """The stand's nginx, told to be a platform that cannot share traffic."""

    name = "all or nothing"

    def __init__(self, driver: TrafficDriver) -> None:
        self._driver = driver

    def check(self) -> list[str]:
        return self._driver.check()

    def read(self) -> Reading:
        return self._driver.read()

    def plan(self, split: Split) -> list[str]:
        return self._driver.plan(split)

    def apply(self, split: Split) -> Applied:
        if 100 not in split.percent.values():
            raise ConfigurationError("this platform can only switch all at once")
        return self._driver.apply(split)


def test_a_gradual_rollback_goes_back_at_once_where_traffic_cannot_be_shared(
    stand: Stand, release: Release
) -> None:
    release.site = Site(release.settings, AllOrNothing(stand.driver))
    seen = release.surroundings.observer = Splits(release)
    with pytest.raises(RolledBack):
        roll_back(release, Response.GRADUAL, ["slow"])
    assert seen.green == [0]
    assert stand.share_of_green() == 0


def test_traffic_goes_back_though_the_token_cannot_be_read(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MINA_OPS_TOKEN", raising=False)
    stand.plan('[token]\nfile = "no-such-file"\n' + QUICK)
    with closing(_at_ten_percent(stand)) as release, pytest.raises(RolledBack):
        roll_back(release, Response.INSTANT, ["errors"])
    assert stand.share_of_green() == 0


def test_a_release_killed_in_a_gradual_rollback_is_taken_back_by_resume(
    stand: Stand, release: Release
) -> None:
    release.journal.write("begin", Phase.ROLLING_BACK, response="gradual", reasons=["P95 too high"])
    outcome = stand.run("release", "resume", "--json")
    assert outcome.code == 5, outcome.err
    assert json.loads(outcome.out)["phase"] == "rolled_back"
    assert "P95 too high" in outcome.err
    assert stand.share_of_green() == 0


def test_of_two_resumes_at_once_one_goes_on_and_the_other_says_so(
    stand: Stand, release: Release
) -> None:
    stand.plan(SLOW)
    first, second = stand.start("release", "resume"), stand.start("release", "resume")
    eventually(lambda: first.poll() is not None or second.poll() is not None, 20)
    loser, winner = (first, second) if first.poll() is not None else (second, first)
    refused = ended(loser)
    assert refused.code in (0, 4)
    assert "is running" in refused.err or "Asked the running release" in refused.out
    stand.run("release", "abort")
    assert ended(winner).code == 5


def test_a_release_that_ctrl_c_interrupts_stays_open_and_says_how_to_go_on(stand: Stand) -> None:
    stand.plan(SLOW)
    release = stand.start("release", "start", "v2")
    stand.until_given(50)
    release.send_signal(signal.SIGINT)
    outcome = ended(release)
    assert outcome.code == 130
    assert "50 % on green" in outcome.err
    assert "mina-ops release resume" in outcome.err
    assert "Traceback" not in outcome.err
    assert stand.run("release", "abort").code == 0
    assert stand.share_of_green() == 0


def test_a_hooks_missing_program_is_found_before_anything_is_touched(stand: Stand) -> None:
    stand.plan(QUICK + '[release.hooks]\nbackup = ["true"]\nafter_drain = ["no-such-program x"]\n')
    outcome = stand.run("release", "start", "v2")
    assert outcome.code == 6
    assert "no-such-program is not installed" in outcome.err
    assert "after_drain" in outcome.err
    assert _begun(stand) == ["checks", "failed"]


def _hook_until(go: Path, phase: str) -> str:
    """A table of hooks whose only one, a phase's, ends when the file is there."""
    line = f"sh -c 'echo half way; until test -e {go}; do sleep 0.05; done'"
    return f'[release.hooks]\n{phase} = ["{line}"]\n'


def test_a_hooks_output_is_seen_while_it_runs(stand: Stand, tmp_path: Path) -> None:
    go = tmp_path / "go"
    stand.plan(QUICK + _hook_until(go, "migrate"))
    release = stand.start("release", "start", "v2")
    assert release.stderr is not None
    lines = iter(release.stderr.readline, "")
    assert any("migrate| half way" in line for line in lines)
    go.touch()
    assert ended(release).code == 0


def test_an_abort_during_a_hook_before_the_switch_moves_no_traffic(
    stand: Stand, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    stand.plan(QUICK + _hook_until(go, "smoke"))
    release = stand.start("release", "start", "v2")
    eventually(lambda: "smoke" in _begun(stand), 20)
    assert stand.run("release", "abort").code == 0
    go.touch()
    assert ended(release).code == 1
    assert "switch" not in _begun(stand)


def test_a_second_start_in_the_middle_of_a_canary_is_told_who_runs(stand: Stand) -> None:
    stand.plan(SLOW)
    release = stand.start("release", "start", "v2")
    stand.until_given(50)
    assert stand.run("release", "start", "v3").code == 4
    stand.run("release", "abort")
    assert ended(release).code == 5


def test_an_old_colour_that_dies_in_its_drain_does_not_take_a_good_release_back(
    stand: Stand,
) -> None:
    blue = stand.colours["blue"]
    kill = f"sh -c 'kill -9 -{blue.pid}'"
    quick = QUICK.replace("ready_seconds = 20", "ready_seconds = 1")
    stand.plan(quick + f'[release.hooks]\nbefore_drain = ["{kill}"]\n')
    try:
        outcome = stand.run("release", "start", "v2")
    finally:
        blue.kill()
        stand.colours["blue"] = stand.start_colour("blue", blue.port)
    assert outcome.code == 0, outcome.err
    assert any("not_clean" in entry for entry in stand.entries())
    assert stand.share_of_green() == 100


def test_a_promote_from_before_the_wait_approves_nothing(stand: Stand, tmp_path: Path) -> None:
    go = tmp_path / "go"
    stand.plan(QUICK + _hook_until(go, "smoke") + "[release.approvals]\nswitch = 2\n")
    release = stand.start("release", "start", "v2")
    eventually(lambda: "smoke" in _begun(stand), 20)
    assert stand.run("release", "promote").code == 0
    go.touch()
    assert ended(release).code == 1
    assert "switch" not in _begun(stand)


def test_the_history_shows_a_damaged_journal_beside_the_others(
    stand: Stand, release: Release
) -> None:
    with (release.journal.folder / "journal.jsonl").open("a") as file:
        file.write("zap\n")
    outcome = stand.run("release", "history")
    assert outcome.code == 0, outcome.err
    assert "line 4, is damaged" in outcome.out


def test_people_are_told_and_a_hung_or_dead_channel_delays_no_rollback(
    stand: Stand, tmp_path: Path
) -> None:
    with receiving() as good, socket.create_server(("127.0.0.1", 0)) as hung:
        hung_port = hung.getsockname()[1]
        channels = {
            "good": good.url,
            "dead": f"json://127.0.0.1:{free_port()}",
            # Connects, and is never answered; apprise would wait for a minute.
            "hung": f"json://127.0.0.1:{hung_port}?rto=60&cto=60",
        }
        tables = [f'[notify.channels.{n}]\nurl = "{url}"\n' for n, url in channels.items()]
        stand.plan(
            SLOW
            + "[release.approvals]\nswitch = 60\n[notify]\ndeadline_seconds = 20\n"
            + "".join(tables)
        )
        release = stand.start("release", "start", "v2")
        eventually(lambda: "Mina release" in good.titles, 20)
        first, _ = hung.accept()
        with first:
            stand.run("release", "promote")
            stand.until_given(50)
            stand.run("release", "abort")
            eventually(lambda: _begun(stand)[-1] == "rolled_back", 20)
            # Traffic is back, the journal says so, and the channel still hangs on the first
            # message, for which the command waits.
            assert stand.share_of_green() == 0
            assert release.poll() is None
            eventually(lambda: "Mina rollback" in good.titles, 20)
        hung.close()
        assert ended(release).code == 5


def test_nobody_switches_by_hand_while_a_release_runs(stand: Stand) -> None:
    stand.plan(QUICK.replace("step_seconds = 0.3", "step_seconds = 40"))
    release = stand.start("release", "start", "v2")
    stand.until_given(50)
    refused = stand.run("switch", "green", "blue", "--instant")
    assert refused.code == 4
    assert "A release is running" in refused.err
    assert stand.share_of_green() == 50
    stand.run("release", "abort")
    assert ended(release).code == 5


def test_a_release_holds_the_site_for_every_command_of_every_folder(
    stand: Stand, tmp_path: Path
) -> None:
    stand.plan(QUICK.replace("step_seconds = 0.3", "step_seconds = 40"))
    release = stand.start("release", "start", "v2")
    stand.until_given(50)
    copy = shutil.copy(stand.file, tmp_path / "mina-ops.toml")

    def elsewhere(*arguments: str, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [MINA_OPS, "--config", copy, *arguments],
            env={**os.environ, "MINA_OPS_TOKEN": token},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    holders = json.loads(elsewhere("lock", "--json").stdout)
    assert {one["purpose"] for one in holders.values()} == {"release v2"}
    assert set(holders) == {"load_balancer", "app"}
    # Without a token the app tells nothing; the record beside the load balancer still holds.
    for token in (TOKEN, "of nobody"):
        refused = elsewhere("switch", "green", "blue", "--instant", token=token)
        assert (refused.returncode, "release v2 has the site" in refused.stderr) == (4, True)
    # Whoever breaks it stops the release where it is.
    assert "broken: release v2" in elsewhere("lock", "break").stdout
    assert elsewhere("lock", "acquire", "-m", "disk swap").returncode == 0
    stopped = ended(release)
    assert (stopped.code, "The lock was" in stopped.err) == (4, True), stopped.err
    assert stand.share_of_green() == 50
