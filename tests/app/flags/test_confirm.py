"""A change is confirmed by what each process has applied, also by the one that answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mina_ops.app.admin.audit import Audit
from mina_ops.app.clock import Clock
from mina_ops.app.flags.cache import Cache
from mina_ops.app.flags.confirm import Confirmations
from mina_ops.app.flags.model import Flag, stored
from mina_ops.app.flags.repository import Repository
from mina_ops.app.identity import Identity
from mina_ops.app.state import Store
from mina_ops.errors import StateUnavailable
from tests.app.flags.conftest import ANA

IDENTITY = Identity("blue", "v2.5.0", "0", ("blue", "green"))

AUDIO = {"audio": stored(Flag("audio", enabled=True))}


def test_a_process_that_has_not_applied_a_change_is_waited_for_though_it_answers(
    store: Store, open_cache: Callable[[], Cache], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, answering = open_cache(), open_cache()
    confirmations = Confirmations(store, IDENTITY, answering, ttl_seconds=3.5)
    changed = Repository(store, writer, Audit(store, IDENTITY, Clock())).change(
        lambda _: AUDIO, ANA, "flag.set"
    )
    with monkeypatch.context() as away:
        away.setattr(answering, "refresh", _unavailable)
        found = confirmations.wait(changed, 0.1)
        assert (found.complete, found.applied, len(found.waiting_for)) == (False, (), 1)
        assert "audio" not in answering.snapshot.table
    found = confirmations.wait(changed, 30)
    assert (found.complete, found.waiting_for, len(found.applied)) == (True, (), 1)
    assert answering.snapshot.table["audio"] is True


def _unavailable() -> bool:
    raise StateUnavailable("the store does not answer")
