"""The flags as a host uses them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, render_template_string
from flask_login import LoginManager, UserMixin, login_user

from mina_ops.app.flags import Caller, Flags, Undecided, flag_required
from mina_ops.app.flags.events import FlagEvent
from mina_ops.app.state import MemoryStore
from mina_ops.errors import StateUnavailable
from tests.app.flags.conftest import ANA


def test_a_flag_that_does_not_exist_is_off_and_remembered(flags: Flags) -> None:
    assert flags.is_enabled("typo") is False
    assert flags.asked_in_vain() == ["typo"]
    flags.editor.set("typo", {"enabled": True}, ANA)
    assert flags.is_enabled("typo") is True
    assert flags.asked_in_vain() == []


def test_code_may_ask_for_any_number_of_keys_in_vain(flags: Flags) -> None:
    assert not any(flags.is_enabled(f"typo{n}") for n in range(10_000))
    assert len(flags.asked_in_vain()) <= 200


def test_code_declares_what_a_missing_flag_answers(flags: Flags) -> None:
    flags.declare("check_signatures", on_unknown="on")
    flags.declare("tax", on_unknown="error")
    assert flags.is_enabled("check_signatures") is True
    with pytest.raises(Undecided, match="tax"):
        flags.is_enabled("tax")
    flags.editor.set("tax", {}, ANA)
    assert flags.is_enabled("tax") is False
    for key, wish in (("Bad", "on"), ("good", "maybe")):
        with pytest.raises(ValueError, match=r"key|on_unknown"):
            flags.declare(key, on_unknown=wish)


def test_units_and_attributes_reach_the_flag(flags: Flags) -> None:
    condition = {"attribute": "plan", "operator": "in", "values": ["pro"]}
    values = {
        "enabled": True,
        "rollout_percent": 0,
        "allow": ["7"],
        "rules": [{"conditions": [condition]}],
    }
    flags.editor.set("audio", values, ANA)
    assert flags.is_enabled("audio", 7) is True
    assert flags.is_enabled("audio", unit="8", plan="pro") is True
    assert flags.is_enabled("audio", unit="8") is False


def test_a_value_is_the_callers_variant_or_the_default(flags: Flags) -> None:
    flags.editor.set("theme", {"enabled": True, "variants": {"dark": "#000"}}, ANA)
    flags.editor.set("plain", {"enabled": True}, ANA)
    assert flags.value("theme", "#fff") == "#000"
    assert flags.value("plain", "#fff") == "#fff"
    assert flags.value("missing", "#fff") == "#fff"
    flags.editor.set("theme", {"enabled": False}, ANA)
    assert flags.value("theme", "#fff") == "#fff"


def test_override_answers_in_every_thread_and_only_inside(flags: Flags) -> None:
    flags.editor.set("audio", {"enabled": False}, ANA)
    seen: list[bool] = []
    with flags.override(audio=True, missing=True):
        thread = threading.Thread(target=lambda: seen.append(flags.is_enabled("audio")))
        thread.start()
        thread.join()
        assert flags.is_enabled("missing") is True
        with flags.override(audio=False):
            assert flags.is_enabled("audio") is False
            flags.editor.set("audio", {"enabled": True}, ANA)
            assert flags.is_enabled("audio") is False
        decision = flags.decision("audio")
        assert decision is not None
        assert decision.enabled is True
    assert seen == [True]
    assert flags.is_enabled("missing") is False
    assert flags.is_enabled("audio") is True


def test_an_override_ends_with_an_exception_too(flags: Flags) -> None:
    with pytest.raises(RuntimeError), flags.override(audio=True):
        raise RuntimeError
    assert flags.is_enabled("audio") is False


class _User(UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name


def _with_login(app: Flask) -> None:
    manager = LoginManager(app)
    manager.user_loader(_User)
    app.secret_key = "k"

    @app.get("/login/<name>")
    def login(name: str) -> str:
        return str(login_user(_User(name)))


def test_a_template_asks_for_the_user_who_is_logged_in(app: Flask, flags: Flags) -> None:
    _with_login(app)
    app.add_url_rule(
        "/page", view_func=lambda: render_template_string("{{ 'new' if flag('audio') else 'old' }}")
    )
    flags.editor.set("audio", {"enabled": True, "rollout_percent": 0, "allow": ["7"]}, ANA)
    client = app.test_client()
    assert client.get("/page").text == "old"
    client.get("/login/7")
    assert client.get("/page").text == "new"


def test_a_hosts_own_flag_in_templates_is_left_alone(make_app: Callable[..., Flask]) -> None:
    from mina_ops import MinaOps

    app = Flask("own")
    app.jinja_env.globals["flag"] = "mine"
    MinaOps(app)
    with app.test_request_context():
        assert render_template_string("{{ flag }}") == "mine"
    app.extensions["mina_ops"].heartbeat.stop()


def test_a_view_behind_a_flag_exists_only_while_it_is_on(app: Flask, flags: Flags) -> None:
    @app.get("/replay")
    @flag_required("audio")
    def replay() -> str:
        return "here"

    client = app.test_client()
    assert client.get("/replay").status_code == 404
    flags.editor.set("audio", {"enabled": True}, ANA)
    assert client.get("/replay").text == "here"


def test_the_host_says_who_the_caller_is(app: Flask, flags: Flags) -> None:
    flags.callers.found_by(lambda: Caller("device-1", {"plan": "pro"}))
    condition = {"attribute": "plan", "operator": "in", "values": ["pro"]}
    rules = [{"conditions": [condition]}]
    flags.editor.set("audio", {"enabled": True, "rollout_percent": 0, "rules": rules}, ANA)
    assert app.test_client().get("/api/flags").json["flags"] == {"audio": True}  # type: ignore[index]


def test_two_apps_in_one_process_have_flags_of_their_own(make_app: Callable[..., Flask]) -> None:
    one, two = (make_app().extensions["mina_ops"].flags for _ in range(2))
    one.editor.set("audio", {"enabled": True}, ANA)
    assert one.is_enabled("audio") is True
    assert two.is_enabled("audio") is False


class _Broken(MemoryStore):
    """A store whose calls can be made to fail, as when Redis is away; counts them."""

    shared = True

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.calls = 0

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name in ("read_version", "read_register", "change_register", "records", "members"):
            object.__setattr__(self, "calls", self.calls + 1)
            if self.away:
                raise StateUnavailable("away")
        return value


@pytest.fixture
def broken(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> tuple[Flags, _Broken]:
    store = _Broken()
    monkeypatch.setattr("mina_ops.app.extension.open_store", lambda _: store)
    app = make_app(MINA_OPS_PRESENCE_TTL="60")
    return app.extensions["mina_ops"].flags, store


def test_an_evaluation_makes_no_call_to_the_store(broken: tuple[Flags, _Broken]) -> None:
    flags, store = broken
    flags.editor.set("audio", {"enabled": True, "rollout_percent": 50}, ANA)
    # So that nothing but the evaluations asks the store.
    flags._heartbeat.stop()
    before = store.calls
    for unit in range(1_000):
        flags.is_enabled("audio", unit, plan="pro")
        flags.value("audio", None, unit)
    flags.evaluate("7")
    assert store.calls == before


def test_watchers_hear_of_changes_and_of_staleness(
    broken: tuple[Flags, _Broken], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags, store = broken
    heard: list[FlagEvent] = []
    flags.watch(heard.append)
    flags.watch(lambda _: 1 / 0)  # type: ignore[arg-type,return-value]
    flags.editor.set("audio", {"enabled": True}, ANA)
    flags.beat(0)
    assert heard == [FlagEvent("changed", frozenset({"audio"}))]
    store.away = True
    flags.cache._confirmed_at = -1e9
    with pytest.raises(StateUnavailable):
        flags.beat(0)
    assert heard[1].kind == "stale"
    assert flags.is_enabled("audio") is True
    store.away = False
    flags.beat(0)
    assert heard[2].kind == "fresh"
    flags.unwatch(heard.append)


def test_an_app_starts_while_the_store_is_away(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = _Broken()
    store.away = True
    monkeypatch.setattr("mina_ops.app.extension.open_store", lambda _: store)
    flags = make_app().extensions["mina_ops"].flags
    assert flags.is_enabled("audio") is False
    assert flags.cache.stale is True
