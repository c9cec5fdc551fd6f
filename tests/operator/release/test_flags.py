"""Flags that were changed during a release, named and set back."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from mina_ops.operator.api.client import AppClient
from mina_ops.operator.api.flags import FlagsClient
from tests.operator.release.stand import QUICK, TOKEN, Stand, ended
from tests.support.command import MINA_OPS

LONG = QUICK.replace("step_seconds = 0.3", "step_seconds = 40")
BEFORE = {
    "enabled": True,
    "rollout_percent": 25.0,
    "rules": [{"attribute": "plan", "operator": "in", "values": ["pro"]}],
}


def _blue(stand: Stand) -> FlagsClient:
    return FlagsClient(AppClient("blue", stand.colours["blue"].url, token=TOKEN))


def _flags(stand: Stand) -> Mapping[str, Any]:
    with _blue(stand) as blue:
        return {flag["key"]: flag for flag in blue.all()["flags"]}


def _prepare(stand: Stand) -> Mapping[str, Any]:
    """A flag of another release with rules, and one that this release owns."""
    with _blue(stand) as blue:
        rules = [{"conditions": BEFORE["rules"]}]
        on = {"enabled": True, "rollout_percent": 25}
        blue.set("search", {**on, "rules": rules, "release": "v1"})
        blue.set("own", {"enabled": True, "release": "v2"})
    return _flags(stand)


def test_a_rollback_sets_flags_back_that_others_changed_meanwhile(stand: Stand) -> None:
    before = _prepare(stand)
    stand.plan(LONG)
    release = stand.start("release", "start", "v2")
    stand.until_given(50)
    with _blue(stand) as blue:
        blue.set("search", {"enabled": True, "rollout_percent": 100, "rules": []})
        blue.set("brand-new", {"enabled": True})
    outcome = stand.run("rollback", "--flags")
    assert outcome.code == 0, outcome.err
    assert ended(release).code == 5
    after = _flags(stand)
    assert after["search"] == before["search"]
    assert not after["brand-new"]["enabled"]
    # The release's own flag is off, as the rollback left it.
    assert not after["own"]["enabled"]


def test_a_release_that_takes_itself_back_names_them_and_what_to_type(stand: Stand) -> None:
    before = _prepare(stand)
    change = [str(MINA_OPS), "--config", str(stand.file), "flags", "set", "search", "--off"]
    stand.plan(QUICK + f'[release.hooks]\nbefore_drain = ["{shlex.join(change)}", "false"]\n')
    outcome = stand.run("release", "start", "v2")
    assert outcome.code == 5, outcome.err
    said = next(
        (line for line in outcome.err.splitlines() if "Flags were changed" in line), outcome.err
    )
    assert "search: on for 25 % before, off now" in said
    assert "own" not in said
    command = said.partition("`mina-ops ")[2].partition("`")[0].split()
    assert command[:2] == ["release", "restore-flags"]
    dry = json.loads(stand.run(*command, "--dry-run", "--json").out)
    assert dry == {"dry_run": True, "flags": ["search"]}
    assert not _flags(stand)["search"]["enabled"]
    restored = stand.run(*command)
    assert (restored.code, restored.out.strip()) == (0, "search is as it was"), restored.err
    assert _flags(stand)["search"] == before["search"]
    assert "No flag was changed" in stand.run("release", "restore-flags").out
