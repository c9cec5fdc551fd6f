"""Whole releases on real servers: what they do, and what they take back."""

from __future__ import annotations

import json
import resource
import shlex
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from mina_ops.operator.release.model import FORWARD
from tests.operator.release.stand import QUICK, Stand, ended, traffic
from tests.support.wait import eventually

FILL_DISK = Path(__file__).with_name("fill_disk.py")
BEGUN = [phase for phase in FORWARD if phase != "done"]
JUDGED = QUICK.replace("step_seconds = 0.3", "step_seconds = 40").replace(
    "patience_seconds = 0", "patience_seconds = 60"
)


def _phases(stand: Stand, event: str = "end") -> list[str]:
    return [entry["phase"] for entry in stand.entries() if entry["event"] == event]


def test_a_good_release_goes_through_every_phase_and_ends_on_green(stand: Stand) -> None:
    with traffic(stand.port) as seen:
        outcome = stand.run("release", "start", "v2", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["phase"] == "done"
    assert _phases(stand) == list(FORWARD)
    assert stand.share_of_green() == 100
    # Open pages of both find their release, blue being there for a way back.
    assert stand.driver.read().split.releases == {"blue": "v1", "green": "v2"}
    assert set(seen["status"]) == {"200"}
    assert [e["percent"] for e in stand.entries() if e["event"] == "step"] == [50, 100]


def test_each_line_of_a_dry_run_is_a_command_or_a_request_and_nothing_is_done(
    stand: Stand,
) -> None:
    stand.plan(QUICK + '[release.hooks]\nmigrate = ["flask db upgrade"]\n')
    outcome = stand.run("release", "start", "v2", "--dry-run")
    assert outcome.code == 0, outcome.err
    assert "  flask db upgrade\n" in outcome.out
    assert f"POST {stand.colours['blue'].url}/admin/drain" in outcome.out
    assert stand.entries() == []
    assert stand.share_of_green() == 0


def test_the_steps_of_a_run_are_those_that_the_dry_run_printed(stand: Stand) -> None:
    stand.plan(QUICK + '[release.hooks]\nmigrate = ["true"]\nafter_switch = ["true {version}"]\n')
    printed = json.loads(stand.run("release", "start", "v2", "--dry-run", "--json").out)["plan"]
    assert stand.run("release", "start", "v2").code == 0
    run = [line for e in stand.entries() if e["event"] == "begin" for line in e["steps"]]
    dry = printed[printed.index("checks:") + 1 :]
    assert run == [line[2:] for line in dry if line.startswith("  ")]
    told = stand.run("release", "show", "v2").out
    assert "  $ true v2\n" in told
    assert "GET" not in told
    story = stand.run("release", "show", "v2", "--steps").out
    assert "50 % are served" in story
    assert f"POST {stand.colours['blue'].url}/admin/drain" in story


def test_green_with_errors_is_rolled_back_at_once(stand: Stand) -> None:
    stand.plan(JUDGED)
    stand.faults("green", error_percent=20)
    with traffic(stand.port) as seen:
        outcome = stand.run("release", "start", "v2")
        assert stand.share_of_green() == 0
    assert "green" not in stand.driver.read().split.releases
    assert outcome.code == 5, outcome.err
    assert "requests failed" in outcome.err
    assert "the limit is 5 %" in outcome.err
    assert seen["status"]["500"] < 0.5 * sum(seen["status"].values())
    assert _phases(stand)[-1] == "rolled_back"


def test_green_that_is_slow_is_taken_back_in_two_steps(stand: Stand) -> None:
    stand.plan(JUDGED.replace("p95_increase_ms = 60000", "p95_increase_ms = 100"))
    stand.faults("green", slow_ms=300)
    with traffic(stand.port, a_second=240, visitors=30):
        outcome = stand.run("release", "start", "v2")
    assert outcome.code == 5, outcome.err
    assert "P95" in outcome.err
    begun = next(e for e in stand.entries() if e["phase"] == "rolling_back")
    assert begun["response"] == "gradual"
    assert stand.share_of_green() == 0


def test_a_fault_of_both_colours_is_held_and_not_rolled_back(stand: Stand) -> None:
    stand.plan(JUDGED)
    stand.faults("blue", error_percent=30)
    with traffic(stand.port):
        release = stand.start("release", "start", "v2")
        # Looks go back far enough then to show blue's errors, even if it is silent for a moment.
        eventually(lambda: _seconds_at_fifty(stand) > 5, 30)
        stand.faults("green", error_percent=30)
        held = "the other colour shows it too"
        eventually(lambda: any(held in e.get("reason", "") for e in stand.entries()), 30)
        assert stand.share_of_green() == 50
        stand.run("release", "abort", "--why", "test over")
        outcome = ended(release)
    assert outcome.code == 5
    assert stand.share_of_green() == 0


def _seconds_at_fifty(stand: Stand) -> float:
    given = [entry["at"] for entry in stand.entries() if entry.get("applied") == 50]
    return time.time() - given[0] if given else 0.0


def test_green_that_crashes_in_a_canary_step_is_rolled_back(stand: Stand) -> None:
    stand.plan(JUDGED)
    green = stand.colours["green"]
    try:
        with traffic(stand.port):
            release = stand.start("release", "start", "v2")
            stand.until_given(50)
            green.kill()
            outcome = ended(release)
        assert outcome.code == 5, outcome.err
        assert "does not answer" in outcome.err
        assert stand.share_of_green() == 0
    finally:
        stand.colours["green"] = stand.start_colour("green", green.port)


def test_without_redis_traffic_neither_grows_nor_goes_back(stand: Stand) -> None:
    stand.plan(JUDGED.replace("step_seconds = 40", "step_seconds = 0.2"))
    release = stand.start("release", "start", "v2")
    stand.until_given(50)
    stand.redis.pause()
    try:
        eventually(lambda: _newest_look_is_blind(stand), 20)
        assert stand.share_of_green() == 50
        assert release.poll() is None
    finally:
        stand.redis.resume()
    stand.run("release", "abort")
    assert ended(release).code == 5


def _newest_look_is_blind(stand: Stand) -> bool:
    metrics = stand.colours["green"].url + "/api/metrics/errors"
    return bool(httpx.get(metrics, timeout=30).json()["stale"])


def test_a_failing_hook_before_the_switch_moves_no_traffic(stand: Stand) -> None:
    stand.plan(QUICK + "[release.hooks]\nmigrate = [\"sh -c 'echo no such table >&2; exit 3'\"]\n")
    outcome = stand.run("release", "start", "v2")
    assert outcome.code == 1
    assert "no such table" in outcome.err
    assert "before any traffic moved" in outcome.err
    assert _phases(stand, "begin")[-1] == "failed"
    assert stand.share_of_green() == 0


def test_green_of_another_version_is_refused(stand: Stand) -> None:
    outcome = stand.run("release", "start", "v3")
    assert outcome.code == 1
    assert "green runs v2, not v3" in outcome.err
    assert stand.share_of_green() == 0


def test_an_unready_old_colour_gets_no_traffic_back_until_it_is_ready(stand: Stand) -> None:
    stand.plan(JUDGED.replace("ready_seconds = 20", "ready_seconds = 3"))
    release = stand.start("release", "start", "v2")
    stand.until_given(50)
    stand.faults("blue", unready=1)
    eventually(lambda: not _is_ready(stand, "blue"), 20)
    stand.run("release", "abort")
    outcome = ended(release)
    assert outcome.code == 7
    assert "NOT rolled back" in outcome.err
    assert stand.share_of_green() == 50
    stand.faults("blue")
    eventually(lambda: _is_ready(stand, "blue"), 20)
    assert stand.run("release", "resume").code == 5
    assert stand.share_of_green() == 0


def _is_ready(stand: Stand, colour: str) -> bool:
    url = stand.colours[colour].url + "/api/health/ready"
    return httpx.get(url, timeout=30).status_code == 200


def test_of_two_controllers_started_at_once_one_is_told_who_runs(stand: Stand) -> None:
    stand.plan(JUDGED)
    first, second = stand.start("release", "start", "v2"), stand.start("release", "start", "v2")
    eventually(lambda: None not in (first.poll(), second.poll()) or _one_ended(first, second), 20)
    loser, winner = (first, second) if first.poll() is not None else (second, first)
    refused = ended(loser)
    assert refused.code == 4
    assert "release v2 is running" in refused.err
    stand.run("release", "abort")
    assert ended(winner).code in (1, 5)


def _one_ended(first: object, second: object) -> bool:
    return any(getattr(one, "poll")() is not None for one in (first, second))  # noqa: B009


def test_it_can_be_paused_promoted_and_watched_from_another_shell(stand: Stand) -> None:
    stand.plan(JUDGED.replace("patience_seconds = 60", "patience_seconds = 0"))
    release = stand.start("release", "start", "v2")
    stand.until_given(50)
    assert stand.run("release", "pause").code == 0
    eventually(lambda: any(e.get("kind") == "pause" for e in stand.entries()))
    status = stand.status()
    assert (status["phase"], status["percent"], status["running"]) == ("switch", 50, True)
    stand.run("release", "promote")
    stand.until_given(100)
    stand.run("release", "promote")
    eventually(lambda: "drain" in _phases(stand, "begin"), 20)
    assert ended(release).code == 0


def test_a_phase_that_waits_for_approval_is_given_up_when_nobody_comes(stand: Stand) -> None:
    stand.plan(QUICK + "[release.approvals]\nswitch = 1\n")
    outcome = stand.run("release", "start", "v2")
    assert outcome.code == 1
    assert "nobody approved switch" in outcome.err
    assert stand.share_of_green() == 0


def test_aborting_when_nothing_runs_does_nothing(stand: Stand) -> None:
    outcome = stand.run("release", "abort")
    assert outcome.code == 0
    assert "Nothing to abort" in outcome.out


def test_a_release_that_is_done_can_be_rolled_back_though_a_later_one_failed(stand: Stand) -> None:
    assert stand.run("release", "start", "v2").code == 0
    assert stand.run("release", "abort").code == 0
    assert stand.share_of_green() == 100
    stand.plan(QUICK + '[release.hooks]\nsmoke = ["false"]\n')
    assert stand.run("release", "start", "v1").code == 1
    assert stand.share_of_green() == 100
    outcome = stand.run("rollback", "--why", "users report silence")
    assert outcome.code == 0, outcome.err
    assert "users report silence" in outcome.err
    assert stand.share_of_green() == 0
    history = json.loads(stand.run("release", "history", "--json").out)["releases"]
    assert sorted(one["phase"] for one in history) == ["failed", "rolled_back"]


def test_a_new_release_waits_for_an_unfinished_one(stand: Stand) -> None:
    stand.plan(JUDGED)
    release = stand.start("release", "start", "v2")
    eventually(lambda: "health" in _phases(stand, "begin"), 20)
    release.kill()
    ended(release)
    outcome = stand.run("release", "start", "v2")
    assert outcome.code == 2
    assert "has not ended" in outcome.err


def test_a_full_disk_in_the_middle_of_the_switch_takes_traffic_back(stand: Stand) -> None:
    stand.plan(JUDGED)
    release = stand.start("release", "start", "v2")
    stand.until_given(50)
    size = next((stand.folder / "releases").glob("*/journal.jsonl")).stat().st_size
    resource.prlimit(release.pid, resource.RLIMIT_FSIZE, (size, size))
    stand.run("release", "promote")
    outcome = ended(release)
    assert outcome.code == 5, outcome.err
    assert "cannot be written" in outcome.err
    assert stand.share_of_green() == 0
    assert [e["percent"] for e in stand.entries() if e["event"] == "step"] == [50]


@pytest.mark.parametrize(("phase", "code"), [("backup", 1), ("switch", 5), ("watch", 5)])
def test_a_file_system_that_is_full_ends_the_release_on_blue(
    stand: Stand, tmp_path: Path, phase: str, code: int
) -> None:
    fill = shlex.join([sys.executable, str(FILL_DISK), str(tmp_path)])
    folder = f'[release]\nfolder = "{tmp_path}/releases"'
    hooks = f'[release.hooks]\nbefore_{phase} = ["{fill}"]\n'
    stand.plan(QUICK.replace("[release]", folder) + hooks)
    outcome = stand.run("release", "start", "v2", within=_on_a_small_disk(tmp_path))
    assert outcome.code == code, outcome.err
    assert "No space left on device" in outcome.err
    assert stand.share_of_green() == 0


def _on_a_small_disk(folder: Path) -> list[str]:
    """A command that mounts 64 kB at `folder`, for what it runs alone."""
    namespace = ["unshare", "--map-root-user", "--mount"]
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this kernel lets nobody mount a small file system of their own")
    mount = 'mount -t tmpfs -o size=64k none "$0" && exec "$@"'
    return [*namespace, "sh", "-c", mount, str(folder)]
