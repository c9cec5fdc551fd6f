"""How a client gets in beside a flood of hostile requests, with mina_ops and with the bare host.

For each kind of request: first how many a second the bare host answers, then a flood of half of
that against the bare host and against the host with mina_ops, one after the other, while clients
connect in turn. The figures are clients that did not get in within the time limit, and their
median times.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import socketio

from mina_ops.demo.processes import Server
from tests.benchmarks._report import Report, arguments
from tests.security.flood import KINDS, Flood
from tests.security.raw import get
from tests.support.hosts import Hosts

HOST = "tests.security.host:app"
THREADS = 64
LIMIT_SECONDS = 10.0
SHARE = 0.5


def main() -> int:
    """Measure, report; 0 if every goal was met."""
    parser = arguments(__doc__)
    parser.add_argument("--clients", type=int, default=10, help="that connect beside each flood")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    chosen = parser.parse_args()
    report = Report(chosen.json)
    for kind in chosen.kinds:
        with tempfile.TemporaryDirectory() as folder:
            _compare(report, Path(folder), kind, chosen.clients)
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
