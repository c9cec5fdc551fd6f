from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest

from mina_ops.app.state.memory import MemoryStore
from mina_ops.app.streams import acknowledged as module
from mina_ops.app.streams.acknowledged import Marks
from mina_ops.errors import StateUnavailable
from tests.support.wait import eventually


class SlowStore(MemoryStore):
    """A store whose first write takes until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()
        self.batches: list[dict[str, int]] = []

    def advance_all(self, marks: Mapping[str, int], *, ttl_seconds: float) -> None:
        self.batches.append(dict(marks))
        self.let_go.wait(60)
        super().advance_all(marks, ttl_seconds=ttl_seconds)


def test_what_comes_during_a_write_goes_out_in_one_batch() -> None:
    store = SlowStore()
    marks = Marks(store)
    saved: list[bool] = []
    threads = [
        threading.Thread(target=lambda n=n: saved.append(marks.save(f"mina:{n}", n)))
        for n in range(1, 51)
    ]
    threads[0].start()
    eventually(lambda: len(store.batches) == 1)
    for thread in threads[1:]:
        thread.start()
    eventually(lambda: len(marks._writes._gathering.asked) == 49)
    store.let_go.set()
    for thread in threads:
        thread.join(60)
    assert saved == [True] * 50
    assert [len(batch) for batch in store.batches] == [1, 49]
    assert store.get("mina:50") == b"50"


def test_a_batch_keeps_the_highest_number_of_a_mark() -> None:
    store = MemoryStore()
    marks = Marks(store)
    assert marks.save("mina:a", 7)
    assert marks.save("mina:a", 3)
    assert marks.read("mina:a") == 7


def test_a_store_that_fails_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    store, asked = MemoryStore(), []

    def away(*_: object, **__: object) -> None:
        asked.append(1)
        raise StateUnavailable("away")

    monkeypatch.setattr(store, "advance_all", away)
    monkeypatch.setattr(module, "STORE_PAUSE_SECONDS", 3600.0)
    marks = Marks(store)
    assert [marks.save("mina:a", n) for n in (1, 2, 3)] == [False] * 3
    assert marks.read("mina:a") is None
    assert len(asked) == 1
    marks._again_at = 0.0
    assert marks.read("mina:a") == 0
