"""Where the time of the longest gap went: the steps of its client, and who was late meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import redis

from tests.app.drain.fleet import Fleet
from tests.benchmarks._report import Report

PROBE_SECONDS = 0.02
STEPS = (
    ("last_answer_to_asked", "since", "asked"),
    ("asked_to_connected", "asked", "connected"),
    ("connected_to_sent", "connected", "sent"),
    ("sent_to_answered", "sent", "answered"),
)
COUNTS = ("left_as_number", "refused")

Late = list[tuple[float, float]]
"""(when it was asked, in ms since the epoch; ms until its answer) of one process."""


@dataclass
class Watch:
    """How long each server took to answer a small question, all the time."""

    late: dict[str, Late] = field(default_factory=dict)

    def longest(self, name: str, since: float, until: float) -> float:
        """The longest answer that was awaited at some time between these two."""
        return _longest(self.late[name], since, until)


@contextmanager
def watching(fleet: Fleet) -> Iterator[Watch]:
    """Ask blue, green, the balancer and Redis every 20 ms until the block ends."""
    watch, over = Watch(), threading.Event()
    with ExitStack() as stack:
        store = stack.enter_context(redis.Redis.from_url(fleet.redis_url))
        asked: dict[str, Callable[[], object]] = {"redis": store.ping}
        servers = {"blue": fleet.blue.server, "green": fleet.green.server, "balancer": fleet.proxy}
        for name, server in servers.items():
            http = stack.enter_context(httpx.Client(base_url=server.url, timeout=60))
            asked[name] = lambda http=http: http.get("/api/health/live")  # type: ignore[misc]
        threads = []
        for name, ask in asked.items():
            watch.late[name] = []
            threads.append(threading.Thread(target=_probe, args=(ask, watch.late[name], over)))
            threads[-1].start()
        try:
            yield watch
        finally:
            over.set()
            for thread in threads:
                thread.join()


def report_stalls(
    report: Report, name: str, watch: Watch, finals: Sequence[Mapping[str, Any]], interval: float
) -> None:
    """Figures of the longest gap, `<name>_longest_gap_*`, and a line for each of the longest five.

    Its parts are those of its client: until it was asked to leave (the rest of the interval is in
    there; below 0 if it had answers since), was connected elsewhere, sent its next chunk, and had
    an answer. Beside them: how long before it was sent that chunk was made, how many had left when
    it was asked (the first ones meet a process that has served nobody yet), how often it was
    refused, and by how much each process was late at most meanwhile.
    """
    moves = [
        (steps, final["late"])
        for final in finals
        for steps in final.get("steps", ())
        if "gap" in steps and "answered" in steps
    ]
    asked = sorted(steps["asked"] for steps, _ in moves)
    moves.sort(key=lambda move: -move[0]["gap"])
    for place, (steps, client_late) in enumerate(moves[:5]):
        parts = {what: steps[to] - steps[since] for what, since, to in STEPS}
        parts["kept_back"] = steps["sent"] - steps["made"]
        parts["left_as_number"] = asked.index(steps["asked"]) + 1
        parts["refused"] = steps.get("refused", 0)
        late = {"client": _longest(client_late, steps["since"], steps["until"])}
        late |= {one: watch.longest(one, steps["since"], steps["until"]) for one in watch.late}
        parts |= {f"{one}_late": value for one, value in late.items()}
        told = ", ".join(f"{what} {value:.0f}" for what, value in parts.items())
        report.say(f"{name}: {steps['gap'] - interval:.0f} ms beyond the interval: {told}")
        if place == 0:
            for what, value in parts.items():
                unit = "" if what in COUNTS else "_ms"
                report.figure(f"{name}_longest_gap_{what}{unit}", value, 1)


def _longest(late: Sequence[Sequence[float]], since: float, until: float) -> float:
    return max((took for at, took in late if at <= until and at + took >= since), default=0.0)


def _probe(ask: Callable[[], object], late: Late, over: threading.Event) -> None:
    while not over.wait(PROBE_SECONDS):
        at = time.time()
        # One that stands still, or that is stopped by now, took as long as it took.
        with suppress(httpx.HTTPError, redis.RedisError):
            ask()
        late.append((at * 1000, (time.time() - at) * 1000))
