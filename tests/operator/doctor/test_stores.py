"""What the doctor says of a real Redis."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from mina_ops.demo.processes import Server
from mina_ops.operator.config import settings
from mina_ops.operator.doctor import stores
from mina_ops.operator.doctor.findings import State

Look = Callable[[str], list[tuple[State, str]]]

FILE = """
[public]
url = "http://127.0.0.1:8080"
"""


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    """Looks at the Redis of a URL: (state, text) of each finding on it."""
    file = tmp_path / "mina-ops.toml"
    file.write_text(FILE)

    def look(url: str) -> list[tuple[State, str]]:
        monkeypatch.setenv("REDIS_URL", url)
        known = stores.examine(settings.load(file))
        return [(f.state, f.text) for f in known if f.area == "redis"]

    return look


def test_a_plain_redis_is_well(found: Look, redis_url: str) -> None:
    assert [state for state, _ in found(redis_url)] == [State.OK]


def test_a_policy_that_drops_our_keys_is_a_warning(found: Look, own_redis: Server) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    said = found(own_redis.url)
    assert (State.WARNING, "its policy allkeys-lru may drop flags, history and drain orders when "
            "memory is full") in said  # fmt: skip


def test_a_user_without_channels_and_scripts_is_told_of_both(
    found: Look, own_redis: Server
) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.execute_command(
            "ACL", "SETUSER", "app", "on", ">secret", "~*", "resetchannels", "+@all", "-@scripting"
        )
    url = own_redis.url.replace("redis://", "redis://app:secret@")
    texts = {text for _, text in found(url)}
    assert {"this user has no rights on channels", "this user has no rights on scripts"} <= texts


def test_a_redis_that_is_away_is_a_fault(found: Look, own_redis: Server) -> None:
    own_redis.stop()
    said = found(own_redis.url)
    assert [state for state, _ in said] == [State.FAULT]
