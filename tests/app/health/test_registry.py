"""All checks of an app: unique names, soft and disabled ones, and the first round."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pytest

from mina_ops.app.health.model import Check, Rule
from mina_ops.app.health.registry import Registry
from tests.support.wait import eventually


def _registry(*checks: Check, soft: Iterable[str] = (), disabled: Iterable[str] = ()) -> Registry:
    registry = Registry(Rule(), soft=frozenset(soft), disabled=frozenset(disabled))
    for check in checks:
        registry.add(check)
    return registry


def _fails() -> bool:
    return False


def test_a_name_or_alias_that_is_taken_is_refused() -> None:
    registry = _registry(Check(name="database", run=None, aliases=("db",)))
    for name in ("database", "db"):
        with pytest.raises(ValueError, match="already"):
            registry.add(Check(name=name, run=None))


def test_a_check_is_found_by_name_and_by_alias() -> None:
    registry = _registry(Check(name="database", run=None, aliases=("db",)))
    assert registry.find("db") is registry.find("database") is registry.monitors["database"]
    assert registry.find("nothing") is None


def test_it_has_started_when_each_check_has_a_result_or_is_over_its_deadline() -> None:
    released = threading.Event()
    registry = _registry(
        Check(name="good", run=lambda: None),
        Check(name="hung", run=lambda: released.wait(60) and None, deadline_seconds=600.0),
    )
    registry.settle()
    assert not registry.started
    registry.begin()
    eventually(lambda: registry.monitors["good"].reading.state == "healthy")
    registry.settle()
    assert not registry.started
    hung = registry.monitors["hung"]
    hung.settle(hung.overdue_at)
    registry.settle()
    assert registry.started
    assert registry.failing() == ("hung",)
    released.set()


def test_a_soft_check_fails_no_one_and_a_disabled_one_does_not_run() -> None:
    registry = _registry(
        Check(name="soft", run=_fails),
        Check(name="own", run=_fails, critical=False),
        Check(name="off", run=_fails),
        Check(name="bad", run=_fails),
        Check(name="elsewhere", run=_fails, groups=frozenset({"audio"})),
        soft=["soft"],
        disabled=["off"],
    )
    registry.begin()
    eventually(lambda: registry.settle() or registry.started)
    assert registry.failing() == ("bad",)
    assert registry.failing("audio") == ("elsewhere",)
    assert registry.monitors["off"].reading.state == "disabled"


def test_a_check_that_joins_later_runs_with_the_next_beat_and_keeps_it_started() -> None:
    registry = _registry(Check(name="first", run=lambda: None))
    registry.begin()
    eventually(lambda: registry.settle() or registry.started)
    registry.add(Check(name="late", run=lambda: None))
    registry.settle()
    assert registry.started
    registry.run_due()
    eventually(lambda: registry.monitors["late"].reading.state == "healthy")
