"""The AI service is asked for free, or judged by what the app itself saw of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mina_ops.app.health.checks.openai import RecentCalls, openai_check
from mina_ops.app.health.faults import classify
from mina_ops.app.health.model import CannotTell, Check, Unhealthy
from mina_ops.app.settings import load
from mina_ops.demo.openai_standin import OpenAIStandIn


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mina_ops.app.health.checks.openai.DEADLINE_SECONDS", 45.0)


@pytest.fixture
def standin() -> Iterator[OpenAIStandIn]:
    with OpenAIStandIn() as server:
        yield server


def _check(standin: OpenAIStandIn, calls: RecentCalls | None = None) -> Check:
    settings = load({"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": standin.base_url}, {})
    return openai_check(settings, calls or RecentCalls())


def _run(check: Check) -> object:
    assert check.run is not None
    return check.run()


def test_without_a_key_it_is_disabled() -> None:
    assert openai_check(load({}, {}), RecentCalls()).run is None


def test_it_lists_models_and_names_the_apps_model(standin: OpenAIStandIn) -> None:
    check = _check(standin)
    assert _run(check) == {"source": "models"}
    assert check.facts == {"model": "gpt-4o"}


@pytest.mark.parametrize(("mode", "expected"), [("401", "auth"), ("500", "error")])
def test_a_refusal_is_told_by_class(standin: OpenAIStandIn, mode: str, expected: str) -> None:
    standin.behave(mode)
    with pytest.raises(Unhealthy) as caught:
        _run(_check(standin))
    assert classify(caught.value) == expected


@pytest.mark.parametrize("mode", ["403", "404", "405", "429"])
def test_a_list_that_is_refused_tells_nothing_of_the_service(
    standin: OpenAIStandIn, mode: str
) -> None:
    standin.behave(mode)
    with pytest.raises(CannotTell, match=mode):
        _run(_check(standin))


def test_a_dead_service_is_refused() -> None:
    with OpenAIStandIn() as gone:
        check = _check(gone)
    with pytest.raises(Exception, match="refused") as caught:
        _run(check)
    assert classify(caught.value) == "refused"


def test_enough_calls_of_the_app_itself_replace_the_question(standin: OpenAIStandIn) -> None:
    calls = RecentCalls()
    check = _check(standin, calls)
    for succeeded in (False, False, True):
        calls.note(succeeded)
    standin.behave("500")  # what a question would get
    assert _run(check) == {"source": "calls"}


def test_it_is_down_when_every_recent_call_failed(standin: OpenAIStandIn) -> None:
    calls = RecentCalls()
    for _ in range(RecentCalls.ENOUGH):
        calls.note(False)
    with pytest.raises(Unhealthy, match="every recent call"):
        _run(_check(standin, calls))


def test_old_calls_say_nothing(standin: OpenAIStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = RecentCalls()
    monkeypatch.setattr(calls, "WINDOW_SECONDS", -1.0)
    for _ in range(RecentCalls.ENOUGH):
        calls.note(False)
    assert _run(_check(standin, calls)) == {"source": "models"}
