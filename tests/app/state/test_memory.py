"""What a store in memory must do beside the contract: end with the process, and stay small."""

from __future__ import annotations

import tracemalloc

from mina_ops.app.state.memory import MemoryStore


def test_values_that_expired_take_no_memory_though_nobody_asks_for_them() -> None:
    # As recovery does for each client: a name of its own, written, never read again.
    store = MemoryStore()
    tracemalloc.start()
    try:
        for number in range(20_000):
            store.put(f"mina:recovery:state:{number}", bytes(1000), ttl_seconds=0.001)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 5_000_000


def test_values_without_an_end_stay_however_many_are_written() -> None:
    store = MemoryStore()
    store.put("mina:kept", b"1")
    for number in range(5_000):
        store.put(f"mina:fading:{number}", b"", ttl_seconds=0.001)
    assert store.get("mina:kept") == b"1"
