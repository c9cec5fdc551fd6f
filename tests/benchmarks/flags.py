"""What a flag costs beside its peers, and how soon a change is everywhere.

Evaluations: the fastest of many rounds of a loop on either side, since whatever else the machine
does only adds; garbage collection off, about 200 flags. Refreshes: the fastest quarter.
Propagation: 8 processes with the whole extension, from before the writing call until a process
answers anew; beside it how late a process wakes that just sleeps, which is the machine's share.
Peers come with the extra `bench`; one that is missing is null.
"""

from __future__ import annotations

import gc
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from flask import Flask

from mina_ops import MinaOps
from mina_ops.app.admin.auth import Author
from mina_ops.app.flags import Flags
from mina_ops.app.flags.cache import Cache
from mina_ops.app.state.redis import RedisStore
from mina_ops.demo.servers import start_redis
from tests.benchmarks import _flag_peers
from tests.benchmarks._report import Report, arguments

BENCH = Author("benchmark")
FLAGS = 200
MANY = 10_000
TOKEN = "of-the-benchmark"
PROCESSES = 8
WRITES = 200
PAUSE_SECONDS = 0.03


def microseconds(call: Callable[[], Any], *, rounds: int = 15, most_seconds: float = 0.04) -> float:
    """What one call costs: the fastest round."""
    began = time.perf_counter()
    for _ in range(100):
        call()
    count = max(100, int(most_seconds / max((time.perf_counter() - began) / 100, 1e-9)))
    costs = []
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(count):
            call()
        costs.append((time.perf_counter() - began) / count)
    return min(costs) * 1e6


@contextmanager
def host(redis_url: str, app: Flask | None = None) -> Iterator[MinaOps]:
    """The extension in an app; its heartbeat starts with a request, if there is one."""
    app = app or Flask(__name__)
    app.config.update(REDIS_URL=redis_url, MINA_OPS_REDIS_TIMEOUT=1.0, APP_VERSION="v2.5.0")
    app.config["MINA_OPS_ADMIN_TOKENS"] = {"bench": hashlib.sha256(TOKEN.encode()).hexdigest()}
    ops = MinaOps(app)
    try:
        yield ops
    finally:
        ops.runtime.heartbeat.stop()
        ops.runtime.store.close()


def flag(n: int) -> dict[str, Any]:
    """One of many flags, of any kind."""
    percent = 25.5 if n % 3 == 0 else 100
    return {"key": f"flag_{n}", "enabled": n % 2 == 0, "rollout_percent": percent}


def fill(flags: Flags) -> None:
    """About 200 flags of all kinds, and those that are measured."""
    made = [flag(n) for n in range(FLAGS)]
    condition = {"attribute": "plan", "operator": "in", "values": ["pro"]}
    made += [
        {"key": "on", "enabled": True},
        {"key": "off", "enabled": False},
        {"key": "percent", "enabled": True, "rollout_percent": 25},
        {
            "key": "rule",
            "enabled": True,
            "rollout_percent": 0,
            "rules": [{"conditions": [condition]}],
        },
    ]
    flags.editor.load(made, BENCH)


def evaluations(report: Report, ops: MinaOps) -> None:
    """Ours, as a host calls it, and the peers."""
    cases: dict[str, Callable[[], Any]] = {
        "on": lambda: ops.flags.is_enabled("on"),
        "off": lambda: ops.flags.is_enabled("off"),
        "percent": lambda: ops.flags.is_enabled("percent", unit="user-12345"),
        "rule": lambda: ops.flags.is_enabled("rule", unit="user-12345", plan="pro"),
        "unknown": lambda: ops.flags.is_enabled("unheard-of"),
    }
    found = {name: microseconds(call) for name, call in cases.items()}
    for name, cost in found.items():
        report.figure(f"mina_ops_{name}_us", cost)
    report.goal("on_off_us", round(max(found["on"], found["off"]), 3), 0.5)
    report.goal("percent_us", round(found["percent"], 3), 1.0)
    for peer, open_peer in _flag_peers.PEERS.items():
        with open_peer(ops.flags, FLAGS) as calls:
            for name, call in calls.items():
                report.figure(f"{peer}_{name}_us", None if call is None else microseconds(call))


def redis_calls(report: Report, ops: MinaOps, redis_url: str) -> None:
    """Commands that the server sees while 100,000 flags are asked."""
    with redis.Redis.from_url(redis_url) as client:
        before = client.info("stats")["total_commands_processed"]
        for n in range(25_000):
            ops.flags.is_enabled("on")
            ops.flags.is_enabled("percent", unit=n)
            ops.flags.is_enabled("rule", unit=n, plan="pro")
            ops.flags.is_enabled("unheard-of")
        after = client.info("stats")["total_commands_processed"]
    report.goal("redis_calls_in_100000_evaluations", after - before - 1, 0)


def refreshes(report: Report, ops: MinaOps, redis_url: str) -> None:
    """How long a process takes to follow one change among 200 flags, and to read all anew."""
    store = RedisStore.from_url(redis_url, timeout_seconds=1.0)
    place = ops.flags.place
    cold, warm = [], []
    cache = _cache(store, place)
    cache.refresh()
    for n in range(60):
        ops.flags.editor.set("flag_7", {"metadata": {"n": n}}, BENCH)
        began = time.perf_counter()
        cache.refresh()
        warm.append(time.perf_counter() - began)
        fresh = _cache(store, place)
        began = time.perf_counter()
        fresh.refresh()
        cold.append(time.perf_counter() - began)
    store.close()
    report.figure("refresh_200_flags_all_new_ms", statistics.quantiles(cold)[0] * 1e3)
    report.figure("refresh_200_flags_max_ms", max(warm) * 1e3)
    report.goal("refresh_200_flags_ms", round(statistics.quantiles(warm)[0] * 1e3, 3), 2.0)


def many(report: Report, redis_url: str) -> None:
    """What 10,000 flags cost: to follow a change, in memory, to list, and to ask who has which."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    app = Flask(__name__)
    with host(redis_url, app) as ops:
        tracemalloc.start()
        for start in range(0, MANY, 2_000):
            found = [flag(n) for n in range(start, min(start + 2_000, MANY))]
            ops.flags.editor.load(found, BENCH)
        report.figure("memory_10000_flags_mb", tracemalloc.get_traced_memory()[0] / 1e6)
        tracemalloc.stop()
        store = RedisStore.from_url(redis_url, timeout_seconds=5.0)
        cache = _cache(store, ops.flags.place)
        report.figure("refresh_10000_flags_all_new_ms", _milliseconds(cache.refresh))
        warm = []
        for n in range(10):
            ops.flags.editor.set("flag_7", {"metadata": {"n": n}}, BENCH)
            warm.append(_milliseconds(cache.refresh))
        report.figure("refresh_10000_flags_ms", statistics.median(warm))
        store.close()
        asked = ops.flags.is_enabled
        report.figure("mina_ops_percent_of_10000_us", microseconds(lambda: asked("flag_6", 7)))
        _asked_over_http(report, app)


def _asked_over_http(report: Report, app: Flask) -> None:
    client = app.test_client()
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    answer = client.get("/api/flags")
    unchanged = {"If-None-Match": answer.headers["ETag"]}
    for name, call in {
        "api_flags": lambda: client.get("/api/flags"),
        "api_flags_unchanged": lambda: client.get("/api/flags", headers=unchanged),
        "admin_flags": lambda: client.get("/admin/flags", headers=bearer),
    }.items():
        report.figure(f"{name}_of_10000_ms", min(_milliseconds(call) for _ in range(5)))


def _milliseconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1e3


def _cache(store: RedisStore, place: Any) -> Cache:
    return Cache(store, place, file=None, stale_seconds=3.5, on_change=lambda _: None)


def propagation(report: Report, ops: MinaOps, redis_url: str) -> None:
    """From before a change is written until each of 8 processes answers with it."""
    follower = Path(__file__).with_name("_flag_follower.py")
    processes = [
        subprocess.Popen(
            [sys.executable, str(follower), redis_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        written: dict[int, int] = {}
        late: list[float] = []
        for n in range(WRITES):
            began = time.monotonic_ns()
            outcome = ops.flags.editor.set("flag_9", {"metadata": {"n": n}}, BENCH)
            written[outcome.changed.version] = began
            late.append(_sleep_and_tell(PAUSE_SECONDS))
        time.sleep(0.5)
        seen = [json.loads(process.communicate(timeout=20)[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    report.figure("late_wake_up_p99_ms", sorted(late)[int(0.99 * len(late))] * 1e3)
    _report_propagation(report, written, [{int(v): t for v, t in s.items()} for s in seen])


def _sleep_and_tell(seconds: float) -> float:
    """Sleep, and tell how much too long it took."""
    began = time.monotonic()
    time.sleep(seconds)
    return time.monotonic() - began - seconds


def _report_propagation(
    report: Report, written: dict[int, int], seen: list[dict[int, int]]
) -> None:
    single, everywhere = [], []
    for version, began in written.items():
        # A process that was told late may have gone from an older version to a newer one.
        arrivals = [min(t for v, t in times.items() if v >= version) - began for times in seen]
        single += arrivals
        everywhere.append(max(arrivals))
    single.sort()
    everywhere.sort()
    report.figure("propagation_one_process_p50_ms", single[len(single) // 2] / 1e6)
    report.figure("propagation_all_8_processes_p50_ms", everywhere[len(everywhere) // 2] / 1e6)
    report.figure("propagation_all_8_processes_max_ms", everywhere[-1] / 1e6)
    p99 = everywhere[int(0.99 * len(everywhere))] / 1e6
    report.goal("propagation_all_8_processes_p99_ms", round(p99, 3), 50.0)


def main() -> int:
    """Measure all, print, and tell by the exit code whether every goal was met."""
    options = arguments(__doc__).parse_args()
    report = Report(options.json)
    with (
        tempfile.TemporaryDirectory() as folder,
        start_redis(Path(folder)) as server,
        host(server.url) as ops,
    ):
        fill(ops.flags)
        gc.disable()
        evaluations(report, ops)
        redis_calls(report, ops, server.url)
        refreshes(report, ops, server.url)
        gc.enable()
        propagation(report, ops, server.url)
        many(report, server.url)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
