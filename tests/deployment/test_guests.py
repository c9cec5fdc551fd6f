"""The manifests for Argo Rollouts and Flagger against a judge, as these engines ask it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from mina_ops.cli.judge import command
from mina_ops.operator.config.settings import load
from mina_ops.operator.release import plan
from tests.operator.fixtures import apps
from tests.operator.judge.conftest import GATE_TOKEN, Judge, judging, well
from tests.operator.stand_in import StandIns
from tests.support.guests import Guests, InGo, InPython, argo_ends

__all__ = ["apps"]

BUILT = os.environ.get("MINA_TEST_KUBERNETES", "")
FOLDER = Path(__file__).parents[2] / "deployment" / "kubernetes"


def _manifests(path: str) -> dict[str, dict[str, Any]]:
    found = yaml.safe_load_all((FOLDER / path).read_text())
    return {f"{m['kind']}/{m['metadata']['name']}": m for m in found}


ARGO = _manifests("argo-rollouts/verdict.yml")
VERDICT = ARGO["AnalysisTemplate/mina-verdict"]["spec"]["metrics"][0]
DRAINED = ARGO["AnalysisTemplate/mina-drained"]["spec"]["metrics"][0]
CANARY = _manifests("flagger/verdict.yml")["Canary/mina"]["spec"]["analysis"]
HOOKS = {hook["type"]: hook for hook in CANARY["webhooks"]}
OWN = _manifests("judge/judge.yml")


@pytest.fixture
def judge(apps: StandIns) -> Iterator[Judge]:
    for fleet in apps.fleets.values():
        well(fleet)
    with judging(apps) as running_judge:
        yield running_judge


_IN_GO = pytest.mark.skipif(not BUILT, reason="run by `make test-kubernetes`")


@pytest.fixture(params=["in Python", pytest.param("in Go", marks=_IN_GO)])
def guests(request: pytest.FixtureRequest) -> Guests:
    return InPython() if request.param == "in Python" else InGo(Path(BUILT) / "guests")


@dataclass
class Asking:
    """A judge, and those who ask it."""

    judge: Judge
    guests: Guests

    def measured(self, metric: dict[str, Any] = VERDICT, **more: str) -> tuple[str, Any]:
        """A measurement of Argo's; `token` and `url` may be others."""
        arguments = {"token": more.get("token", GATE_TOKEN)}
        return self.guests.argo(metric, more.get("url", self.judge.url), arguments)

    def allowed(self, kind: str) -> bool:
        """What Flagger takes for the answer of a hook."""
        hook = HOOKS[kind]
        assert hook["metadata"] == {"token": "${MINA_OPS_JUDGE_TOKEN}"}
        return self.guests.flagger({**hook, "metadata": {"token": GATE_TOKEN}}, self.judge.url)[0]


@pytest.fixture
def asking(judge: Judge, guests: Guests) -> Asking:
    return Asking(judge, guests)


def test_argo_measures_what_the_judge_says(judge: Judge, asking: Asking) -> None:
    assert asking.measured() == ("Successful", "pass")
    judge.green.metrics["errors"] = {}
    assert asking.measured() == ("Inconclusive", "inconclusive")
    well(judge.green, errors=400)
    assert asking.measured() == ("Failed", "fail")
    assert asking.measured(token="wrong")[0] == "Error"
    assert asking.measured(url="http://127.0.0.1:9")[0] == "Error"


def test_whatever_the_judge_answers_is_json_which_argo_takes_for_no_success(
    judge: Judge, asking: Asking
) -> None:
    """Argo takes a 2xx whose body is not JSON for a success, whatever the conditions say."""
    for path in ("/", "/verdict", "/hooks/rollback", "/health", "/nowhere", "/%00", "/verdict?x=1"):
        for method in ("GET", "POST", "PUT", "OPTIONS"):
            web = {"url": f"http://judge{path}", "method": method, "jsonPath": "{$.verdict}"}
            for headers in ([], VERDICT["provider"]["web"]["headers"]):
                metric = {**VERDICT, "provider": {"web": {**web, "headers": headers}}}
                phase, value = asking.measured(metric)
                assert (phase, value) == ("Successful", "pass") or phase == "Error", (path, method)


def test_an_analysis_goes_on_with_passes_alone_and_stops_for_a_person_without_data() -> None:
    assert argo_ends(VERDICT, ["Successful"] * 20) == "Successful"
    assert argo_ends(VERDICT, ["Inconclusive"] * 5 + ["Successful"] * 15) == "Successful"
    assert argo_ends(VERDICT, ["Successful"] * 3 + ["Failed"]) == "Failed"
    assert argo_ends(VERDICT, ["Inconclusive"] * 20) == "Inconclusive"
    # A judge that is started anew is waited for.
    assert argo_ends(VERDICT, ["Error"] * 4 + ["Successful"] * 20) == "Successful"


def test_argo_ends_the_old_pods_when_their_sessions_have_left(judge: Judge, asking: Asking) -> None:
    judge.blue.counts = [5, 5, 2, 0]
    phase, _ = asking.measured(DRAINED)
    assert phase == "Error"
    assert judge.blue.drain == {"state": "draining", "grace_seconds": 30}
    # The stand-in tells the end of a drain to who looks at it.
    judge.blue.drain = {"state": "drained"}
    judge.apps.fleets["blue"].report = {"state": "drained"}
    assert asking.measured(DRAINED) == ("Successful", "drained")
    assert argo_ends(DRAINED, ["Error"] * 12 + ["Successful"]) == "Successful"
    # Sessions that do not leave keep no rollout from its end.
    dry = ARGO["AnalysisTemplate/mina-drained"]["spec"]["dryRun"]
    assert dry == [{"metricName": DRAINED["name"]}]


def test_flagger_goes_on_waits_and_goes_back_by_the_verdict(judge: Judge, asking: Asking) -> None:
    assert {kind: asking.allowed(kind) for kind in HOOKS} == {
        "rollback": False,
        "confirm-traffic-increase": True,
        "confirm-promotion": True,
    }
    judge.green.metrics["errors"] = {}
    assert not any(asking.allowed(kind) for kind in HOOKS)
    well(judge.green, errors=400)
    assert {kind: asking.allowed(kind) for kind in HOOKS} == {
        "rollback": True,
        "confirm-traffic-increase": False,
        "confirm-promotion": False,
    }


def test_a_whole_canary_of_flagger_from_its_first_share_to_its_promotion(
    judge: Judge, asking: Asking
) -> None:
    """The order is that of Flagger's scheduler: rollback, then leave for each next share."""
    assert asking.allowed("confirm-promotion")
    judge.green.version, judge.green.metrics = "v2.0.0", {}
    given = [0]
    for step in CANARY["stepWeights"]:
        assert not asking.allowed("rollback")
        assert asking.allowed("confirm-traffic-increase")
        given.append(step)
        # A minute without visitors: it stays where it is, and is not taken back.
        judge.green.metrics = {}
        assert not asking.allowed("confirm-traffic-increase")
        assert not asking.allowed("rollback")
        well(judge.green)
    assert asking.allowed("confirm-traffic-increase")
    assert asking.allowed("confirm-promotion")
    assert given == [0, 10, 25, 50, 100]


def test_flagger_without_the_token_gets_no_leave_and_goes_nowhere(
    judge: Judge, asking: Asking
) -> None:
    for hook in HOOKS.values():
        wrong = {**hook, "metadata": {"token": "wrong"}}
        answer, text = asking.guests.flagger(wrong, judge.url)
        assert not answer
        assert "MINA_OPS_JUDGE_TOKEN" in text


def test_the_judges_own_manifest_starts_what_the_others_ask(tmp_path: Path) -> None:
    pod = OWN["Deployment/mina-judge"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    file = tmp_path / "mina-ops.toml"
    file.write_text(OWN["ConfigMap/mina-judge"]["data"]["mina-ops.toml"])
    settings = load(file)
    assert (settings.other("canary").name, plan.read(settings).drain_grace_seconds) == (
        "stable",
        30,
    )
    assert container["command"][0] == "mina-ops"
    name, *options = container["args"]
    assert (name, command.name) == ("judge", "judge")
    known = {option for parameter in command.params for option in parameter.opts}
    assert {option for option in options if option.startswith("--")} <= known
    ports = {port["containerPort"] for port in container["ports"]}
    assert options[options.index("--listen") + 1] == f"0.0.0.0:{ports.pop()}"
    variables = {one["name"] for one in container["env"]}
    assert variables == {"MINA_OPS_JUDGE_TOKEN", "MINA_OPS_TOKEN"}
    asked = {VERDICT["provider"]["web"]["url"], DRAINED["provider"]["web"]["url"]}
    asked |= {hook["url"] for hook in HOOKS.values()}
    port = OWN["Service/mina-judge"]["spec"]["ports"][0]["port"]
    assert {url.split("/")[2] for url in asked} == {f"mina-judge:{port}"}


def test_the_pages_steps_name_the_templates_that_are_shipped() -> None:
    page = (FOLDER.parents[1] / "docs" / "guests.md").read_text()
    block = page.partition("```yaml\n")[2].partition("```")[0]
    steps = yaml.safe_load(block)["strategy"]["canary"]["steps"]
    named = [s["analysis"]["templates"][0]["templateName"] for s in steps if "analysis" in s]
    assert {f"AnalysisTemplate/{name}" for name in named} == ARGO.keys()
    assert (steps[-3], named[-1]) == ({"setWeight": 100}, "mina-drained")


def test_a_judge_that_others_reach_needs_a_token_or_a_word(tmp_path: Path) -> None:
    file = tmp_path / "mina-ops.toml"
    file.write_text(OWN["ConfigMap/mina-judge"]["data"]["mina-ops.toml"])
    from mina_ops.cli import main

    for options, variables, told in (
        (["--listen", "0.0.0.0:0"], {}, "set MINA_OPS_JUDGE_TOKEN, or give --open"),
        (["--listen", "0.0.0.0:0"], {"MINA_OPS_JUDGE_TOKEN": "short"}, "openssl rand -hex 32"),
        (["--open"], {"MINA_OPS_JUDGE_TOKEN": GATE_TOKEN}, "not both"),
        (["--listen", "nowhere"], {}, "must be HOST:PORT"),
    ):
        arguments = ["--config", str(file), "judge", "canary", *options]
        outcome = CliRunner().invoke(main, arguments, env=variables)
        assert outcome.exit_code == 2
        assert told in outcome.output
