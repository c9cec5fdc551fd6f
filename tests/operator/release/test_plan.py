from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from mina_ops.errors import ConfigurationError
from mina_ops.operator.config import settings
from mina_ops.operator.release import plan as plans
from mina_ops.operator.release.plan import Plan

_BASE = """
[public]
url = "http://127.0.0.1:8080"
[colours.blue]
url = "http://127.0.0.1:5001"
[colours.green]
url = "http://127.0.0.1:5002"
[traffic]
driver = "command"
"""


def _plan(text: str) -> Plan:
    raw = tomllib.loads(_BASE + text)
    return plans.read(settings.parse(raw, Path("/srv/mina-ops.toml")))


def test_without_a_table_it_is_the_playbooks_canary() -> None:
    plan = _plan("")
    assert plan.shares() == (10, 25, 50, 100)
    assert plan.step_seconds == 600
    assert plan.folder == Path("/srv/releases")
    assert plan.triggers.error_percent == 5.0


def test_an_instant_release_has_one_share_and_a_cohort_begins_with_names_alone() -> None:
    assert _plan('[release]\nstrategy = "instant"').shares() == (100,)
    assert _plan('[release]\nstrategy = "cohort"\ncohort = ["12345"]').shares() == (0, 100)


def test_words_in_braces_are_filled_in_and_never_pass_a_shell() -> None:
    plan = _plan('[release.hooks]\nstart = ["deploy --name {to_name} --note \\"a b\\" {version}"]')
    words = {"to_name": "mina-green", "version": "v1; rm -rf /"}
    assert plan.commands("start", words) == [
        ["deploy", "--name", "mina-green", "--note", "a b", "v1; rm -rf /"]
    ]


def test_a_preset_gives_commands_and_a_hook_of_ones_own_replaces_them() -> None:
    preset = _plan('[release]\npreset = "replit"')
    assert preset.hooks["start"][0].startswith("replit deployments create --name {to_name}")
    own = _plan('[release]\npreset = "replit"\n[release.hooks]\nstart = ["./up.sh"]')
    assert own.hooks["start"] == ("./up.sh",)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[release]\nstrategy = 'carnary'", "strategy"),
        ("[release]\nsteps = [10, 10, 100]", "steps"),
        ("[release]\nsteps = [10, 50]", "steps"),
        ("[release]\nsteps = [0, 100]", "steps"),
        ("[release]\nsteps = []", "steps"),
        ("[release]\nsteps = [10.5, 100]", "steps"),
        ("[release]\nstep_secs = 3", "step_secs"),
        ("[release]\nlook_seconds = 0", "look_seconds"),
        ("[release]\nno_data = 'hope'", "no_data"),
        ("[release]\nstrategy = 'cohort'", "cohort"),
        ("[release.hooks]\nstart = ['deploy {colour}']", "start"),
        ("[release.hooks]\nstart = ['unbalanced \"']", "start"),
        ("[release.hooks]\nbegin = ['x']", "begin"),
        ("[release.triggers]\nerror_percent = 0", "error_percent"),
        ("[release.triggers]\np95_increase_ms = -1", "p95_increase_ms"),
        ("[release.approvals]\nwatch = 60", "watch"),
    ],
)
def test_a_bad_value_names_its_key(text: str, key: str) -> None:
    with pytest.raises(ConfigurationError, match=key):
        _plan(text)
