"""A process whose log locks are never given back is not alive, however well its probes answer."""

from __future__ import annotations

import logging
import threading

import pytest

from mina_ops.app.health import watchdog
from mina_ops.app.health.watchdog import Watchdog
from tests.app.health.conftest import MakeHost
from tests.support.wait import eventually


@pytest.fixture
def handler() -> logging.Handler:
    return logging.StreamHandler()


def test_a_lock_that_is_never_given_back_is_a_process_that_is_stuck(
    make_host: MakeHost, handler: logging.Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "STUCK_SECONDS", 1.5)
    host = make_host(prepare=lambda app: app.logger.addHandler(handler)).started()
    assert host.get("/live")[0] == 200
    release = threading.Event()

    def hold() -> None:
        with handler.lock:  # type: ignore[union-attr]
            release.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        eventually(lambda: host.get("/live")[0] == 503, 20, "it to be seen")
        assert host.get("/live")[1]["status"] == "stuck"
        assert host.get("/ready")[0] == 200  # which is why `live` has to tell
    finally:
        release.set()
        holder.join()
    eventually(lambda: host.get("/live")[0] == 200, 20, "it to move again")
    host.app.logger.removeHandler(handler)


def test_a_process_that_has_not_begun_is_not_stuck() -> None:
    assert not Watchdog("of nobody").is_stuck()
