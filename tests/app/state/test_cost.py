"""What a store counts of itself, beside what Redis counts."""

from __future__ import annotations

import pytest
import redis

from mina_ops.app.state.cost import count
from mina_ops.app.state.memory import MemoryStore
from mina_ops.app.state.redis import RedisStore
from mina_ops.demo.processes import Server


def counted(client: redis.Redis) -> tuple[int, int, int]:
    stats = client.info("stats")
    names = ("total_commands_processed", "total_net_input_bytes", "total_net_output_bytes")
    return tuple(int(stats[name]) for name in names)  # type: ignore[return-value]


def test_commands_and_bytes_are_what_redis_counts(own_redis: Server) -> None:
    store = RedisStore.from_url(own_redis.url, timeout_seconds=10)
    with redis.Redis.from_url(own_redis.url) as watch:
        before = counted(watch)
        for number in range(200):
            store.put(f"mina:test:{number}", b"x" * 300)
        assert len(store.get_all([f"mina:test:{n}" for n in range(200)])) == 200
        after = counted(watch)
    commands, sent, received = (b - a for a, b in zip(before, after, strict=True))
    # The watch asks once in between; a connection begins with a few commands.
    assert store.cost.commands == pytest.approx(commands, abs=5)
    assert store.cost.sent_bytes == pytest.approx(sent, rel=0.02)
    assert store.cost.received_bytes == pytest.approx(received, rel=0.1)
    assert store.cost.connections == 1
    store.close()


def test_a_store_in_memory_costs_no_server_anything() -> None:
    store = MemoryStore()
    store.put("mina:test", b"x")
    assert store.cost.commands == 0


def test_a_client_that_connects_late_is_left_alone() -> None:
    class Late:
        def __getattr__(self, name: str) -> object:
            raise AssertionError(f"asked for {name}")

    assert count(Late()).connections == 0
