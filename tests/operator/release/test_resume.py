"""A controller that is killed with -9: whoever resumes it releases what was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.operator.release.stand import QUICK, Stand, ended
from tests.support.wait import eventually


def _killed_once(stand: Stand, phase: str) -> str:
    """A plan's hooks that kill the controller just before it does this phase."""
    once: Path = stand.folder / "killed-once"
    once.unlink(missing_ok=True)
    line = f"sh -c 'test -e {once} || {{{{ touch {once}; kill -9 $PPID; }}}}'"
    return f'[release.hooks]\nbefore_{phase} = ["{line}"]\n'


@pytest.mark.usefixtures("half_of_blue_is_down")
def test_a_resumed_release_is_the_hotfix_with_the_load_that_was_started(stand: Stand) -> None:
    with stand.file.open("a") as file:
        file.write(_killed_once(stand, "checks"))
    started = stand.run("release", "start", "v2", "--hotfix", "--load", "7", "--to", "green")
    assert started.code == -9, started.err
    outcome = stand.run("release", "resume")
    assert outcome.code == 0, outcome.err
    assert stand.share_of_green() == 100
    steps = [line for entry in stand.entries() for line in entry.get("steps", ())]
    assert [line for line in steps if "send 7 requests a second to each colour" in line]
    assert " with --hotfix --load 7, begun " in stand.run("release", "show").out


def test_a_phase_that_was_approved_is_not_asked_for_again(stand: Stand) -> None:
    stand.plan(QUICK + "[release.approvals]\nswitch = 60\n" + _killed_once(stand, "switch"))
    release = stand.start("release", "start", "v2")
    # What is promoted before it waits does not count, so it is promoted until that is heard.
    eventually(lambda: _is_promoted(stand), 45)
    assert ended(release).code == -9
    outcome = stand.run("release", "resume")
    assert outcome.code == 0, outcome.err
    assert "waits for approval" not in outcome.err
    assert stand.share_of_green() == 100


def _is_promoted(stand: Stand) -> bool:
    stand.run("release", "promote")
    return any(entry.get("kind") == "promote" for entry in stand.entries())
