"""OpenFeature's own scenarios, both suites, over our provider and the SDK's client."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ProviderFatalError
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagEvaluationOptions
from openfeature.hook import Hook
from openfeature.provider import ProviderStatus

from mina_ops.app.flags import Flags
from mina_ops.app.flags.events import FlagEvent
from mina_ops.app.flags.openfeature import MinaOpsProvider
from tests.app.flags.conftest import ANA
from tests.app.flags.gherkin import Scenario, Step, scenarios
from tests.support.wait import eventually

FOLDER = Path(__file__).parents[4] / "shared" / "conformance" / "openfeature"
SUITES = ("evaluation", "metadata", "hooks", "evaluation_v2")

# The old suite's flag of three conditions; its file gives no definition.
CONTEXT_AWARE = {
    "key": "context-aware",
    "enabled": True,
    "variants": {"internal": "INTERNAL", "external": "EXTERNAL"},
    "weights": {"external": 1},
    "rules": [
        {
            "conditions": [
                {"attribute": "fn", "operator": "in", "values": ["Sulisław"]},
                {"attribute": "ln", "operator": "in", "values": ["Świętopełk"]},
                {"attribute": "age", "operator": "in", "values": [29]},
                {"attribute": "customer", "operator": "in", "values": [False]},
            ],
            "variant": "internal",
        }
    ],
}
_CEL = re.compile(r"(!?\w+)(?: (==|>) ('[^']*'|\d+))?")


def _load() -> list[Any]:
    if not FOLDER.is_dir():
        return [pytest.param(None, id="conformance-data")]
    found = []
    for suite in SUITES:
        for number, scenario in enumerate(scenarios(FOLDER / f"{suite}.feature")):
            found.append(pytest.param(scenario, id=f"{suite}-{number}-{scenario.name}"))
    return found


def our_flag(key: str, theirs: dict[str, Any]) -> dict[str, Any]:
    """A flag of `test-flags.json` in our fields."""
    default = theirs.get("defaultVariant")
    flag: dict[str, Any] = {
        "key": key,
        "enabled": not theirs.get("disabled", False),
        "variants": theirs["variants"],
        "metadata": theirs.get("flagMetadata") or {},
        "rollout_percent": 100 if default else 0,
        "weights": {default: 1} if default else {},
    }
    if "contextEvaluator" in theirs:
        test, rest = theirs["contextEvaluator"].split(" ? ")
        variant = rest.split(" : ")[0].strip("'")
        conditions = [_condition(part) for part in test.split(" && ")]
        flag["rules"] = [{"conditions": conditions, "variant": variant}]
    return flag


def _condition(text: str) -> dict[str, Any]:
    match = _CEL.fullmatch(text)
    assert match is not None, text
    name, operator, value = match.groups()
    if operator is None:
        return {"attribute": name.lstrip("!"), "operator": "in", "values": [name[0] != "!"]}
    parsed = value.strip("'") if value.startswith("'") else int(value)
    word = "in" if operator == "==" else "greater"
    return {"attribute": name, "operator": word, "values": [parsed]}


class Recorder(Hook):
    """Remembers which stage ran with what."""

    def __init__(self, name: str, log: list[tuple[str, str, Any]]) -> None:
        self.name, self.log = name, log

    def before(self, hook_context: Any, hints: Any) -> None:
        self.log.append((self.name, "before", None))

    def after(self, hook_context: Any, details: Any, hints: Any) -> None:
        self.log.append((self.name, "after", details))

    def error(self, hook_context: Any, exception: Exception, hints: Any) -> None:
        self.log.append((self.name, "error", exception))

    def finally_after(self, hook_context: Any, details: Any, hints: Any) -> None:
        self.log.append((self.name, "finally", details))


class Fatal(MinaOpsProvider):
    """Ours, unable to start for good."""

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        raise ProviderFatalError("fatal")


class Erring(MinaOpsProvider):
    """Ours, unable to start."""

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        raise RuntimeError("error")


class Slow(MinaOpsProvider):
    """Ours, still starting."""

    release = threading.Event()

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        self.release.wait(60)


class World:
    """What the steps of one scenario share."""

    def __init__(self, flags: Flags) -> None:
        self.flags = flags
        self.client: OpenFeatureClient = api.get_client()
        self.context: dict[str, Any] = {}
        self.hooks: list[tuple[str, str, Any]] = []
        self.options: FlagEvaluationOptions | None = None
        self.kind, self.key, self.default = "", "", None
        self.details: FlagEvaluationDetails[Any] | None = None
        self.held: dict[str, Any] | None = None

    def ask(
        self, kind: str, key: str, default: Any, context: dict[str, Any] | None = None
    ) -> FlagEvaluationDetails[Any]:
        given = self.context if context is None else context
        ask = getattr(self.client, f"get_{kind.lower()}_details")
        target = EvaluationContext(None, given) if given else None
        return ask(key, default, target, self.options)

    def evaluate(self) -> None:
        self.details = self.ask(self.kind, self.key, self.default)

    @property
    def found(self) -> FlagEvaluationDetails[Any]:
        assert self.details is not None
        return self.details


STEPS: list[tuple[re.Pattern[str], Callable[..., None]]] = []


def step(pattern: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def register(function: Callable[..., None]) -> Callable[..., None]:
        STEPS.append((re.compile(pattern), function))
        return function

    return register


def typed(kind: str, text: str) -> Any:
    kind = kind.lower()
    if kind == "boolean":
        return {"true": True, "false": False}[text.lower()]
    if kind == "object":
        return json.loads(text.replace('\\"', '"'))
    return {"integer": int, "float": float, "string": str}[kind](text)


@step(r"(?:a|an) (stable|not ready|fatal|error|stale) provider")
def _provider(world: World, _: Step, status: str) -> None:
    if status in ("stable", "stale"):
        provider = MinaOpsProvider(world.flags)
        api.set_provider_and_wait(provider)
        if status == "stale":
            provider._told(FlagEvent("stale"))
        return
    Slow.release.clear()
    kinds = {"not ready": Slow, "fatal": Fatal, "error": Erring}
    api.set_provider(kinds[status](world.flags))
    if status != "not ready":
        wanted = {"fatal": ProviderStatus.FATAL, "error": ProviderStatus.ERROR}[status]
        eventually(lambda: world.client.get_provider_status() == wanted, 2.0, status)


@step(r"the provider status should be \"(\w+)\"")
def _status(world: World, _: Step, status: str) -> None:
    eventually(lambda: world.client.get_provider_status().name == status, 2.0, status)


@step(r"a (\w+)-flag with key \"([^\"]*)\" and a (?:fallback|default) value \"(.*)\"")
def _flag(world: World, _: Step, kind: str, key: str, default: str) -> None:
    world.kind, world.key = kind, key
    world.default = typed(kind, default)


@step(r"a context containing a key \"(\w+)\", with type \"(\w+)\" and with value \"(.*)\"")
def _with(world: World, _: Step, name: str, kind: str, value: str) -> None:
    world.context[name] = typed(kind, value)


@step(r"a context containing a key \"(\w+)\" with null value")
def _with_null(world: World, _: Step, name: str) -> None:
    world.context[name] = None


@step(r"an evaluation context with modifiable data")
def _modifiable(world: World, _: Step) -> None:
    world.context = {"nested": {"list": [1, 2]}}
    world.held = copy.deepcopy(world.context)


@step(r"the flag was evaluated with details")
def _evaluated(world: World, _: Step) -> None:
    world.evaluate()


@step(r"the flag was evaluated with details asynchronously")
def _asynchronously(world: World, _: Step) -> None:
    ask = getattr(world.client, f"get_{world.kind.lower()}_details_async")
    world.details = asyncio.run(ask(world.key, world.default))


@step(r"the evaluation should complete without blocking")
def _completed(world: World, _: Step) -> None:
    assert world.found is not None


@step(r"the resolved details value should be \"(.*)\"")
def _resolved(world: World, _: Step, value: str) -> None:
    expected = typed(world.kind, value)
    assert world.found.value == expected
    assert type(world.found.value) is type(expected)


@step(r"the reason should be \"(\w+)\"")
def _reason(world: World, _: Step, reason: str) -> None:
    assert world.found.reason == reason


@step(r"the error-code should be \"(\w+)\"")
def _error_code(world: World, _: Step, code: str) -> None:
    assert world.found.error_code is not None
    assert world.found.error_code.value == code


@step(r"the flag key should be \"(.*)\"")
def _flag_key(world: World, _: Step, key: str) -> None:
    assert world.found.flag_key == key


@step(r"the variant should be \"([\w-]*)\"(?:, and the reason should be \"(\w+)\")?")
def _variant(world: World, _: Step, variant: str, reason: str | None) -> None:
    assert world.found.variant == variant
    assert reason in (None, world.found.reason)


@step(r"the resolved metadata should contain")
def _metadata(world: World, given: Step) -> None:
    expected = {name: typed(kind, value) for name, kind, value in given.table[1:]}
    assert world.found.flag_metadata == expected


@step(r"the resolved metadata is empty")
def _no_metadata(world: World, _: Step) -> None:
    assert not world.found.flag_metadata


@step(r"evaluation options containing specific hooks")
def _options(world: World, _: Step) -> None:
    hooks: list[Hook] = [Recorder(name, world.hooks) for name in ("first", "second")]
    world.options = FlagEvaluationOptions(hooks=hooks)


@step(r"the flag was evaluated with details using the evaluation options")
def _with_options(world: World, _: Step) -> None:
    world.evaluate()


@step(r"the specified hooks should execute during evaluation")
def _hooks_ran(world: World, _: Step) -> None:
    assert {name for name, _, _ in world.hooks} == {"first", "second"}


@step(r"the hook order should be maintained")
def _hook_order(world: World, _: Step) -> None:
    order = [(name, stage) for name, stage, _ in world.hooks]
    assert order[:2] == [("first", "before"), ("second", "before")]
    assert order[2:4] == [("second", "after"), ("first", "after")]


@step(r"the original evaluation context should remain unmodified")
def _unmodified(world: World, _: Step) -> None:
    assert world.context == world.held


@step(r"the evaluation details should be immutable")
def _immutable(world: World, _: Step) -> None:
    again = world.ask(world.kind, world.key, world.default)
    world.found.flag_metadata = {"mine": True}
    assert world.ask(world.kind, world.key, world.default) == again


@step(r"a client with added hook")
def _client_hook(world: World, _: Step) -> None:
    world.client.add_hooks([Recorder("client", world.hooks)])


@step(r"the \"(\w+)\" hook should have been executed")
def _hook_ran(world: World, _: Step, stage: str) -> None:
    assert stage in [ran for _, ran, _ in world.hooks]


@step(r"the \"([\w, ]+)\" hooks should be called with evaluation details")
def _hook_details(world: World, given: Step, stages: str) -> None:
    for stage in stages.split(", "):
        details = next(details for _, ran, details in world.hooks if ran == stage)
        for kind, name, text in given.table[1:]:
            value = getattr(details, name)
            value = getattr(value, "value", value)
            assert value == (None if text == "null" else typed(kind, text)), name


# --- the older suite says the same in other words -------------------------------------------


@step(r"(?:a|an) (\w+) flag with key \"([^\"]+)\" is evaluated with (?:details and )?(?:a )?"
      r"(default value|null default value) ?(.*)")  # fmt: skip
def _old_evaluated(world: World, _: Step, kind: str, key: str, words: str, default: str) -> None:
    world.kind, world.key = kind, key
    world.default = {} if words.startswith("null") else typed(kind, default.strip('"'))
    world.evaluate()


@step(r"the resolved (?:boolean|string|integer|float) (?:details )?value should be \"?([^\",]*)\"?"
      r"(?:, the variant should be \"(\w+)\", and the reason should be \"(\w+)\")?")  # fmt: skip
def _old_resolved(
    world: World, _: Step, value: str, variant: str | None, reason: str | None
) -> None:
    assert world.found.value == typed(world.kind, value)
    assert variant in (None, world.found.variant)
    assert reason in (None, world.found.reason)


@step(r"the resolved object (?:details )?value should be contain fields .*")
def _old_object(world: World, _: Step) -> None:
    expected = {"showImages": True, "title": "Check out these pics!", "imagesPerPage": 100}
    assert world.found.value == expected


@step(r"context contains keys \"fn\", \"ln\", \"age\", \"customer\" with values "
      r"\"(.*)\", \"(.*)\", (\d+), \"(.*)\"")  # fmt: skip
def _old_context(world: World, _: Step, fn: str, ln: str, age: str, customer: str) -> None:
    world.context = {"fn": fn, "ln": ln, "age": int(age), "customer": typed("boolean", customer)}


@step(r"a flag with key \"([^\"]+)\" is evaluated with default value \"(.*)\"")
def _old_plain(world: World, _: Step, key: str, default: str) -> None:
    world.kind, world.key, world.default = "string", key, default
    world.evaluate()


@step(r"the resolved string response should be \"(.*)\"")
def _old_response(world: World, _: Step, value: str) -> None:
    assert world.found.value == value
    assert world.found.reason == "TARGETING_MATCH"


@step(r"the resolved flag value is \"(.*)\" when the context is empty")
def _old_empty(world: World, _: Step, value: str) -> None:
    assert world.ask(world.kind, world.key, "none", context={}).value == value


@step(r"a non-existent string flag with key \"(.*)\" is evaluated with details and a default "
      r"value \"(.*)\"")  # fmt: skip
def _old_missing(world: World, _: Step, key: str, default: str) -> None:
    world.kind, world.key, world.default = "string", key, default
    world.evaluate()


@step(r"a string flag with key \"(.*)\" is evaluated as an integer, with details and a default "
      r"value (\d+)")  # fmt: skip
def _old_mistyped(world: World, _: Step, key: str, default: str) -> None:
    world.kind, world.key, world.default = "integer", key, int(default)
    world.evaluate()


@step(r"the default (?:string|integer) value should be returned")
def _old_default(world: World, _: Step) -> None:
    assert world.found.value == world.default


@step(r"the reason should indicate an error and the error code should indicate .* with \"(\w+)\"")
def _old_error(world: World, _: Step, code: str) -> None:
    assert world.found.reason == "ERROR"
    assert world.found.error_code is not None
    assert world.found.error_code.value == code


@pytest.fixture
def world(app: Flask) -> Iterator[World]:
    if not FOLDER.is_dir():
        from tests.support.conformance import conformance

        conformance("openfeature/test-flags.json")
    flags: Flags = app.extensions["mina_ops"].flags
    theirs = json.loads((FOLDER / "test-flags.json").read_text())
    flags.editor.load([our_flag(*item) for item in theirs.items()] + [CONTEXT_AWARE], ANA)
    yield World(flags)
    Slow.release.set()
    api.clear_providers()
    api.shutdown()


@pytest.mark.parametrize("scenario", _load())
def test_scenario_of_openfeature(world: World, scenario: Scenario) -> None:
    if "@reason-codes-cached" in scenario.tags:
        pytest.skip("optional: our answers come from memory and say why, never CACHED")
    for given in scenario.steps:
        matches = [(f, m) for pattern, f in STEPS if (m := pattern.fullmatch(given.text))]
        assert len(matches) == 1, f"{len(matches)} steps match {given.text!r}"
        function, match = matches[0]
        function(world, given, *match.groups())


def test_a_killed_boolean_flag_is_false_whatever_default_the_code_has(world: World) -> None:
    world.flags.editor.set("audio", {"enabled": False}, ANA)
    api.set_provider_and_wait(MinaOpsProvider(world.flags))
    found = world.ask("boolean", "audio", True)
    assert (found.value, found.reason, found.variant) == (False, "DISABLED", "off")


def test_the_targeting_key_is_the_unit(world: World) -> None:
    world.flags.editor.set("half", {"enabled": True, "rollout_percent": 50}, ANA)
    api.set_provider_and_wait(MinaOpsProvider(world.flags))
    for n in range(50):
        found = world.client.get_boolean_details("half", False, EvaluationContext(str(n)))
        assert found.value == world.flags.is_enabled("half", n)
        assert found.reason == "SPLIT"


def test_handlers_hear_of_changes_and_of_staleness(world: World) -> None:
    heard: list[tuple[str, EventDetails]] = []
    provider = MinaOpsProvider(world.flags)
    api.set_provider_and_wait(provider)
    for event in (ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, ProviderEvent.PROVIDER_STALE):
        world.client.add_handler(event, lambda details, e=event: heard.append((e.name, details)))
    world.flags.editor.set("audio", {"enabled": True}, ANA)
    world.flags.beat(0)
    eventually(lambda: heard, 2.0, "the change")
    assert heard[0][0] == "PROVIDER_CONFIGURATION_CHANGED"
    assert heard[0][1].flags_changed is not None
    assert "audio" in heard[0][1].flags_changed
    provider._told(FlagEvent("stale", reason="the store was emptied"))
    eventually(lambda: len(heard) == 2, 2.0, "staleness")
    assert world.client.get_provider_status() == ProviderStatus.STALE
    assert world.client.get_boolean_value("audio", False) is True
