"""What processes of one fleet ask the store on their beats, with the whole extension in each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from flask import Flask
from flask_socketio import SocketIO

from mina_ops import MinaOps

_MINUTE = 60.0
_COLOURS = ("blue", "green")


def _process(url: str, colour: str, number: int) -> MinaOps:
    app = Flask(f"{colour}-{number}")
    app.config.update(
        ENVIRONMENT=colour, APP_VERSION="v2.5.0", REDIS_URL=url, MINA_OPS_INSTANCE=str(number)
    )
    # No message queue, so that each asks whether the other colour is there, too. Nothing is served,
    # so the mode is not the subject; eventlet's own would be chosen where that is installed.
    return MinaOps(app, socketio=SocketIO(app, async_mode="threading"))


@pytest.fixture
def fleet(own_redis: Any) -> Iterator[list[MinaOps]]:
    members = [_process(own_redis.url, colour, n) for n in range(5) for colour in _COLOURS]
    try:
        yield members
    finally:
        for ops in members:
            ops.close()


def _beat(fleet: list[MinaOps], now: float) -> None:
    """As each process's heartbeat does it: features first, then what is announced."""
    for ops in fleet:
        for component in ops.runtime.components:
            component.beat(now)
        ops.runtime.context.presence.beat(now)


def _readings(client: Any) -> int:
    """How often a roster was read, which comes before each reading of its reports."""
    return int(client.info("commandstats").get("cmdstat_smembers", {}).get("calls", 0))


def test_over_minutes_only_one_process_of_a_colour_reads_whole_reports(
    own_redis: Any, fleet: list[MinaOps]
) -> None:
    now = time.time()
    with redis.Redis.from_url(own_redis.url) as client:
        _beat(fleet, now)
        _beat(fleet, now)
        before = _readings(client)
        for minute in range(1, 4):
            _beat(fleet, now + minute * _MINUTE)
        leaders = [ops for ops in fleet if ops.runtime.context.presence.leads]
        assert len(leaders) == len(_COLOURS)
        assert _readings(client) - before == 3 * len(_COLOURS)
