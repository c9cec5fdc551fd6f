"""`mina-ops judge` as a process, over two colours of a real app."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.operator.release.stand import QUICK, Stand, ended
from tests.support.guests import InPython
from tests.support.stock import StockClients
from tests.support.wait import eventually

VERDICT = {
    "successCondition": 'result == "pass"',
    "failureCondition": 'result == "fail"',
    "provider": {"web": {"url": "http://judge/verdict", "jsonPath": "{$.verdict}"}},
}
ROLLBACK = {"url": "http://judge/hooks/rollback"}


@dataclass
class Running:
    """A judge of green, and what it printed first."""

    process: subprocess.Popen[str]
    url: str


@pytest.fixture
def judge(stand: Stand) -> Iterator[Running]:
    stand.plan(QUICK)
    process = stand.start("judge", "green", "--listen", "127.0.0.1:0", "--json")
    assert process.stdout is not None
    yield Running(process, json.loads(process.stdout.readline())["url"])
    if process.poll() is None:
        process.kill()
        process.communicate()


def _visit(stand: Stand, times: int) -> None:
    """So many requests to each colour, past the load balancer."""
    with ThreadPoolExecutor(8) as pool, httpx.Client(timeout=30) as http:
        urls = [server.url for server in stand.colours.values()]
        list(pool.map(http.get, urls * times))


def _measured(judge: Running) -> str:
    return InPython().argo(VERDICT, judge.url, {})[0]


def test_a_release_passes_then_fails_and_its_judge_ends_in_peace(
    stand: Stand, judge: Running
) -> None:
    assert _measured(judge) == "Inconclusive"
    assert not InPython().flagger(ROLLBACK, judge.url)[0]
    _visit(stand, 250)
    eventually(lambda: _measured(judge) == "Successful", 10)
    stand.faults("green", error_percent=60)
    _visit(stand, 100)
    eventually(lambda: _measured(judge) == "Failed", 10)
    assert InPython().flagger(ROLLBACK, judge.url)[0]
    judge.process.terminate()
    outcome = ended(judge.process)
    assert (outcome.code, outcome.err) == (0, "")
    lines: list[dict[str, Any]] = [json.loads(line) for line in outcome.out.splitlines()]
    assert {line["path"] for line in lines} == {"/verdict", "/hooks/rollback"}
    assert lines[-1]["verdict"] == "fail"


def test_a_live_session_of_a_stock_client_leaves_uncut_before_the_old_pods_may_end(
    stand: Stand, judge: Running
) -> None:
    with StockClients() as clients:
        clients.connect(stand.colours["blue"].url, "websocket")
        body = eventually(lambda: _drained(judge), 20)
    assert (body["state"], body["active_connections"], body["forced"]) == ("drained", 0, 0)
    assert httpx.delete(f"{judge.url}/drain", timeout=10).json()["state"] == "serving"


def _drained(judge: Running) -> dict[str, Any] | None:
    """What the hook says once it says yes; it is asked again as an engine does."""
    answer = httpx.post(f"{judge.url}/drain", json={"grace_seconds": 1}, timeout=10)
    return answer.json() if answer.status_code == 200 else None
