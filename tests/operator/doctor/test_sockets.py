"""What the doctor says of two real colours over a real Redis."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from mina_ops.demo.processes import HOST, Server
from mina_ops.operator.config import settings
from mina_ops.operator.doctor import sockets
from mina_ops.operator.doctor.findings import State
from tests.support.hosts import Hosts
from tests.support.wait import eventually

APP = "tests.app.console.host:app"


def started(
    hosts: Hosts,
    redis_url: str,
    green: Mapping[str, str],
    *,
    blue: Mapping[str, str] | None = None,
    **more: object,
) -> list[Server]:
    environment = {"REDIS_URL": redis_url}
    of_blue = {**environment, "ENVIRONMENT": "blue", **(blue or {})}
    return [
        hosts(APP, environment=of_blue, **more),  # type: ignore[arg-type]
        hosts(APP, environment={**environment, "ENVIRONMENT": "green", **green}),
    ]


def found(folder: Path, servers: list[Server]) -> list[tuple[State, str]]:
    lines = ["[public]", f'url = "{servers[0].url}"']
    for colour, server in zip(("blue", "green"), servers, strict=True):
        lines += [f"[colours.{colour}]", f'url = "{server.url}"']
        lines += [f"[colours.{colour}.instances]", f'0 = "{HOST}:{server.port}"']
    file = folder / "mina-ops.toml"
    file.write_text("\n".join(lines) + "\n")
    return [(one.state, one.text) for one in sockets.examine(settings.load(file))]


def test_two_colours_that_share_a_store_hear_of_each_other(
    start_host: Hosts, redis_url: str, tmp_path: Path
) -> None:
    # blue says that it needs no message queue, and so nobody misses one there.
    servers = started(start_host, redis_url, {}, blue={"MINA_OPS_QUEUE_NEEDED": "0"})
    heard = (State.OK, "blue and green see each other")
    eventually(lambda: heard in found(tmp_path, servers), 20, "they see each other")
    odd = [one for one in found(tmp_path, servers) if one[0] is not State.OK]
    assert [state for state, _ in odd] == [State.WARNING]
    assert "green without a message queue" in odd[0][1]


def test_handshakes_of_which_none_came_in_are_told(
    start_host: Hosts, redis_url: str, tmp_path: Path
) -> None:
    servers = started(start_host, redis_url, {})
    with httpx.Client(base_url=servers[0].url, timeout=10) as client:
        for _ in range(20):
            assert client.get("/socket.io/?EIO=1&transport=polling").status_code == 400

    def told() -> bool:
        warnings = [text for state, text in found(tmp_path, servers) if state is State.WARNING]
        return "none of the last 20 handshakes at blue came in: http_400 20" in warnings

    eventually(told, 10)


def test_colours_of_two_products_do_not_hear_of_each_other(
    start_host: Hosts, redis_url: str, tmp_path: Path
) -> None:
    servers = started(start_host, redis_url, {"MINA_OPS_PRODUCT": "another"})
    faults = [text for state, text in found(tmp_path, servers) if state is State.FAULT]
    assert len(faults) == 2
    assert "blue sees no process of the other colour" in faults[0]


@pytest.mark.parametrize("threads", [8])
def test_a_worker_with_few_threads_is_told(
    start_host: Hosts, redis_url: str, tmp_path: Path, threads: int
) -> None:
    servers = started(start_host, redis_url, {}, threads=threads)
    warnings = [text for state, text in found(tmp_path, servers) if state is State.WARNING]
    assert any("a process of blue takes 4 sessions (threading)" in text for text in warnings)


def test_a_colour_that_is_down_is_unknown(
    start_host: Hosts, redis_url: str, tmp_path: Path
) -> None:
    servers = started(start_host, redis_url, {})
    servers[1].stop()
    assert State.UNKNOWN in {state for state, _ in found(tmp_path, servers)}
