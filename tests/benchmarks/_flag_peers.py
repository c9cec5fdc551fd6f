"""The peers that flags are measured beside, each with about as many flags, none with a network."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from mina_ops.app.flags import Flags

Calls = Mapping[str, Callable[[], Any] | None]
CASES = ("on", "off", "percent")
NOTHING: Calls = dict.fromkeys(CASES)


@contextmanager
def unleash(_: Flags, count: int) -> Iterator[Calls]:
    """UnleashClient, bootstrapped from a dictionary and never connected."""
    if find_spec("UnleashClient") is None:
        yield NOTHING
        return
    from UnleashClient import UnleashClient
    from UnleashClient.cache import FileCache

    logging.getLogger("UnleashClient").setLevel(logging.CRITICAL)
    percent = {"rollout": "25", "stickiness": "userId", "groupId": "percent"}
    features = [_unleash(f"flag_{n}", n % 2 == 0, "default", {}) for n in range(count)]
    features += [
        _unleash("on", True, "default", {}),
        _unleash("off", False, "default", {}),
        _unleash("percent", True, "flexibleRollout", percent),
    ]
    with tempfile.TemporaryDirectory() as folder:
        cache = FileCache("benchmark", directory=folder)
        cache.bootstrap_from_dict({"version": 2, "features": features})
        client = UnleashClient(
            "http://127.0.0.1:9/api",
            "benchmark",
            cache=cache,
            disable_metrics=True,
            disable_registration=True,
        )
        client.initialize_client(fetch_toggles=False)
        user = {"userId": "user-12345"}
        yield _checked(
            {
                "on": lambda: client.is_enabled("on", user),
                "off": lambda: client.is_enabled("off", user),
                "percent": lambda: client.is_enabled("percent", user),
            }
        )
        client.destroy()


def _unleash(name: str, enabled: bool, strategy: str, parameters: Any) -> dict[str, Any]:
    strategies = [{"name": strategy, "parameters": parameters, "constraints": []}]
    return {"name": name, "enabled": enabled, "type": "release", "strategies": strategies}


@contextmanager
def launchdarkly(_: Flags, count: int) -> Iterator[Calls]:
    """LaunchDarkly's SDK over its own test data, without events."""
    if find_spec("ldclient") is None:
        yield NOTHING
        return
    from ldclient import Context, LDClient
    from ldclient.config import Config
    from ldclient.integrations.test_data import TestData

    data = TestData.data_source()
    for n in range(count):
        data.update(data.flag(f"flag_{n}").boolean_flag().variation_for_all(n % 2 == 0))
    data.update(data.flag("on").boolean_flag().variation_for_all(True))
    data.update(data.flag("off").boolean_flag().variation_for_all(False))
    client = LDClient(Config("sdk", update_processor_class=data, send_events=False))
    # Test data know no percentage of all, so the flag is made as the service would send it.
    rollout = {
        "variations": [{"variation": 0, "weight": 25_000}, {"variation": 1, "weight": 75_000}]
    }
    user = Context.builder("user-12345").build()
    percent = _ld_percent(data, rollout)
    yield _checked(
        {
            "on": lambda: client.variation("on", user, False),
            "off": lambda: client.variation("off", user, True),
            "percent": (lambda: client.variation("percent", user, False)) if percent else None,
        }
    )
    client.close()


def _ld_percent(data: Any, rollout: dict[str, Any]) -> bool:
    builder = data.flag("percent").boolean_flag()
    build = getattr(builder, "_build", None)
    if build is None:
        return False

    def with_rollout(version: int) -> dict[str, Any]:
        made: dict[str, Any] = build(version)
        return {**made, "salt": "salt", "fallthrough": {"rollout": rollout}}

    builder._build = with_rollout
    builder._copy = lambda: builder
    data.update(builder)
    return True


@contextmanager
def openfeature(flags: Flags, count: int) -> Iterator[Calls]:
    """OpenFeature's client over its own in-memory provider, and over ours."""
    if find_spec("openfeature") is None:
        yield {**NOTHING, "with_mina_ops": None}
        return
    from openfeature import api
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

    from mina_ops.app.flags.openfeature import MinaOpsProvider

    both = {"on": True, "off": False}
    held = {f"flag_{n}": InMemoryFlag("on", both) for n in range(count)}
    held |= {"on": InMemoryFlag("on", both), "off": InMemoryFlag("off", both)}
    api.set_provider_and_wait(InMemoryProvider(held), "peer")
    api.set_provider_and_wait(MinaOpsProvider(flags), "ours")
    peer, ours = api.get_client("peer"), api.get_client("ours")
    user = EvaluationContext("user-12345")
    yield {
        **_checked(
            {
                "on": lambda: peer.get_boolean_value("on", False, user),
                "off": lambda: peer.get_boolean_value("off", True, user),
                "percent": None,
            }
        ),
        "with_mina_ops": lambda: ours.get_boolean_value("on", False, user),
    }
    api.clear_providers()
    api.shutdown()


@contextmanager
def waffle(_: Flags, count: int) -> Iterator[Calls]:
    """django-waffle over SQLite in memory and the cache in this process's memory."""
    if find_spec("waffle") is None:
        yield NOTHING
        return
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
            INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "waffle"],
            CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
            DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        )
        django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.test import RequestFactory
    from waffle import flag_is_active, switch_is_active
    from waffle.models import Flag, Switch

    call_command("migrate", verbosity=0)
    Switch.objects.bulk_create([Switch(name=f"flag_{n}", active=n % 2 == 0) for n in range(count)])
    Switch.objects.create(name="on", active=True)
    Switch.objects.create(name="off", active=False)
    Flag.objects.create(name="percent", percent=25, superusers=False)
    request = RequestFactory().get("/")
    request.user = User.objects.create(username="user-12345")
    yield _checked(
        {
            "on": lambda: switch_is_active("on"),
            "off": lambda: switch_is_active("off"),
            "percent": lambda: flag_is_active(request, "percent"),
        }
    )


PEERS = {
    "unleash": unleash,
    "launchdarkly": launchdarkly,
    "openfeature_in_memory": openfeature,
    "waffle": waffle,
}


def _checked(calls: Calls) -> Calls:
    """The calls, once their answers are those that the flags were made for."""
    for name, expected in (("on", True), ("off", False)):
        call = calls[name]
        if call is not None and call() is not expected:
            raise RuntimeError(f"A peer answers wrongly for {name}; its set-up is broken.")
    percent = calls["percent"]
    if percent is not None and not isinstance(percent(), bool):
        raise RuntimeError("A peer has no answer for percent; its set-up is broken.")
    return calls
