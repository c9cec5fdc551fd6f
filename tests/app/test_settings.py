from __future__ import annotations

import hashlib
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from mina_ops.app import settings
from mina_ops.app.settings import Settings
from mina_ops.errors import ConfigurationError
from mina_ops.fields import declared

_DIGEST = hashlib.sha256(b"secret").hexdigest()


def test_defaults_need_nothing() -> None:
    loaded = settings.load({}, {})
    assert loaded.environment == "production"
    assert loaded.version == "unknown"
    assert loaded.redis_url is None
    assert loaded.colours == ("blue", "green")


def test_the_config_goes_before_the_environment() -> None:
    environ = {"ENVIRONMENT": "blue", "APP_VERSION": "v1", "MINA_OPS_BEAT": "2.5"}
    loaded = settings.load({"ENVIRONMENT": "green"}, environ)
    assert (loaded.environment, loaded.version, loaded.beat_seconds) == ("green", "v1", 2.5)


def test_tokens_are_read_from_a_mapping_and_from_text() -> None:
    from_mapping = settings.load({"MINA_OPS_ADMIN_TOKENS": {"ci": _DIGEST}}, {})
    from_text = settings.load({}, {"MINA_OPS_ADMIN_TOKENS": f"ci:{_DIGEST}, me:{_DIGEST}"})
    assert from_mapping.admin_tokens == {"ci": _DIGEST}
    assert from_text.admin_tokens == {"ci": _DIGEST, "me": _DIGEST}


def test_secrets_do_not_show_in_its_repr() -> None:
    loaded = settings.load(
        {"REDIS_URL": "redis://:hunter2@h/0", "MINA_OPS_ADMIN_TOKENS": {"ci": _DIGEST}}, {}
    )
    assert "hunter2" not in repr(loaded)
    assert _DIGEST not in repr(loaded)


def test_a_misspelt_key_is_refused_with_the_one_meant() -> None:
    with pytest.raises(ConfigurationError, match=r"MINA_OPS_BEET.*MINA_OPS_BEAT"):
        settings.load({"MINA_OPS_BEET": 1}, {})


def test_a_variable_of_a_newer_release_does_not_stop_an_older_one() -> None:
    assert settings.load({}, {"MINA_OPS_OF_TOMORROW": "1"}).beat_seconds == 1.0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("MINA_OPS_BEAT", "0"),
        ("MINA_OPS_BEAT", "nan"),
        ("MINA_OPS_BEAT", "soon"),
        ("MINA_OPS_BEAT", "5.1"),
        ("MINA_OPS_DRAIN_GRACE", "-1"),
        ("MINA_OPS_DRAIN_GRACE", "inf"),
        ("MINA_OPS_MAX_CONNECTIONS", "0"),
        ("MINA_OPS_CONNECTION_RESERVE", "-1"),
        ("MINA_OPS_DRAIN_ON_SIGTERM", "perhaps"),
        ("MINA_OPS_ADMIN_TOKENS", "ci:short"),
        ("MINA_OPS_ADMIN_TOKENS", "ci"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_its_key(key: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=key):
        settings.load({}, {key: value})


@pytest.mark.parametrize("name", ["", "blue green", "blue~1", "-blue", "x" * 33, "blü"])
def test_a_name_that_would_break_a_sid_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot name"):
        settings.load({"MINA_OPS_INSTANCE": name}, {})


@pytest.mark.parametrize(
    ("given", "colour"),
    [
        ("blue", "blue"),
        ("Production (EU)", "Production-EU"),
        ("", "production"),
        ("bl\u00fc", "bl"),
    ],
)
def test_an_environment_of_another_tool_names_a_colour_all_the_same(
    given: str, colour: str
) -> None:
    assert settings.load({"ENVIRONMENT": given}, {}).environment == colour


def test_they_cannot_be_changed() -> None:
    loaded: Any = settings.load({}, {})
    with pytest.raises(FrozenInstanceError):
        loaded.environment = "green"


def test_every_setting_says_what_it_means() -> None:
    found = dict(declared(Settings))
    assert len(found) == len(fields(Settings))
    for spec, rules in found.items():
        assert rules.meaning.endswith((".", "...")), spec.name
        assert rules.key.isupper(), spec.name
