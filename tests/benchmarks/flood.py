"""How a client gets in beside a flood of hostile requests, with mina_ops and with the bare host.

For each kind of request: first how many a second the bare host answers, then a flood of half of
that against the bare host and against the host with mina_ops, one after the other, while clients
connect in turn. The figures are clients that did not get in within the time limit, and their
median times.

With --per-second a flood is that many a second instead, sent by two processes over connections that
stay open, for 5 seconds: the figures are what was answered, what was held up since all of 128
connections waited, and what host and senders took of the machine.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
import socketio

from mina_ops.demo.processes import Server
from tests.benchmarks._report import Report, arguments
from tests.security.flood import KINDS, Flood
from tests.security.raw import get
from tests.support.hosts import REPOSITORY, Hosts

HOST = "tests.security.host:app"
THREADS = 64
LIMIT_SECONDS = 10.0
SHARE = 0.5
SENDERS = 2
FLOOD_SECONDS = 5.0


def main() -> int:
    """Measure, report; 0 if every goal was met."""
    parser = arguments(__doc__)
    parser.add_argument("--clients", type=int, default=10, help="that connect beside each flood")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--per-second", type=float, help="hostile requests, whatever this bears")
    chosen = parser.parse_args()
    report = Report(chosen.json)
    for kind in chosen.kinds:
        with tempfile.TemporaryDirectory() as folder:
            if chosen.per_second is None:
                _compare(report, Path(folder), kind, chosen.clients)
            elif kind != "raw_pings":  # those stay open, and are no rate
                _at_rate(report, Path(folder), kind, chosen.per_second)
    return report.finish()


def _compare(report: Report, folder: Path, kind: str, clients: int) -> None:
    missed: dict[str, float] = {}
    rate = 0.0
    for name, environment in (("bare", {"BARE": "1"}), ("mina_ops", {})):
        hosts = Hosts(folder)
        try:
            server = hosts(HOST, threads=THREADS, ready_path="/echo",
                           environment={"ENVIRONMENT": "blue", **environment})  # fmt: skip
            rate = rate or _answers_a_second(server, kind) * SHARE
            with Flood(server.port, kind, per_second=rate) as flood:
                began = time.monotonic()
                times = [_seconds_to_get_in(server) for _ in range(clients)]
                sent = flood.sent / (time.monotonic() - began)
        finally:
            hosts.stop_all()
        came = [seconds for seconds in times if seconds is not None]
        missed[name] = clients - len(came)
        report.figure(f"{kind}_{name}_hostile_per_second", sent, 0)
        report.figure(f"{kind}_{name}_median_ms", statistics.median(came) * 1e3 if came else None)
        report.figure(f"{kind}_{name}_kept_out", missed[name], 0)
    report.goal(f"{kind}_kept_out", missed["mina_ops"], missed["bare"])


def _at_rate(report: Report, folder: Path, kind: str, per_second: float) -> None:
    kept_out: dict[str, int] = {}
    for name, environment in (("bare", {"BARE": "1"}), ("mina_ops", {})):
        hosts = Hosts(folder)
        try:
            server = hosts(HOST, threads=THREADS, ready_path="/echo",
                           environment={"ENVIRONMENT": "blue", **environment})  # fmt: skip
            before = _cpu_seconds(server)
            argv = [sys.executable, "-m", "tests.benchmarks._senders", str(server.port), kind]
            argv += [str(per_second / SENDERS), str(FLOOD_SECONDS)]
            senders = [
                subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
                for _ in range(SENDERS)
            ]
            times = []
            while any(one.poll() is None for one in senders):
                times.append(_seconds_to_get_in(server))
            told = [json.loads(one.communicate()[0]) for one in senders]
            used = _cpu_seconds(server) - before
        finally:
            hosts.stop_all()
        came = [seconds for seconds in times if seconds is not None]
        kept_out[name] = len(times) - len(came)
        figures = {
            "answered_per_second": sum(one["answered"] for one in told) / FLOOD_SECONDS,
            "held_up_per_second": sum(one.get("held_up", 0) for one in told) / FLOOD_SECONDS,
            "host_percent_of_a_core": 100 * used / FLOOD_SECONDS,
            "senders_percent_of_a_core": 100 * sum(o["cpu_seconds"] for o in told) / FLOOD_SECONDS,
            "median_ms": statistics.median(came) * 1e3 if came else None,
            "kept_out": kept_out[name],
        }
        for figure, value in figures.items():
            report.figure(f"{kind}_{name}_{figure}", value, 0)
    report.goal(f"{kind}_kept_out", kept_out["mina_ops"], kept_out["bare"])


def _cpu_seconds(server: Server) -> float:
    """What gunicorn and its workers used of a processor so far."""
    master = psutil.Process(server.pid)
    spent = [process.cpu_times() for process in (master, *master.children(recursive=True))]
    return sum(one.user + one.system for one in spent)


def _answers_a_second(server: Server, kind: str, seconds: float = 2.0) -> float:
    """How many such requests one sender gets answered, one after the other."""
    # A bare host has none of our paths; what it answers to them costs it a 404.
    lines = [line.replace("{n}", "1") for line in KINDS[kind]]
    began, count = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        get(server.port, *lines[:1], seconds=5)
        count += 1
    return count / seconds


def _seconds_to_get_in(server: Server) -> float | None:
    """How long a stock client takes to be connected; None: it was not in time."""
    began = time.monotonic()
    while time.monotonic() - began < LIMIT_SECONDS:
        client = socketio.SimpleClient()
        with suppress(socketio.exceptions.ConnectionError, socketio.exceptions.TimeoutError):
            client.connect(server.url, wait_timeout=5)
            client.disconnect()
            return time.monotonic() - began
        time.sleep(0.1)  # as a client waits before it tries again
    return None


if __name__ == "__main__":
    sys.exit(main())
