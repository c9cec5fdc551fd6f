"""The load: a process that sends HTTP requests, and one with hundreds of streaming clients.

Both write a JSON line with their counts to their log twice a second, and a last one, with
`"final": true`, when they are told to end.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mina_ops.demo import programs
from mina_ops.demo.pages import client_folders, socket_io_client
from mina_ops.demo.processes import Server, start
from mina_ops.errors import ToolMissing

_TAIL_BYTES = 256 * 1024


@dataclass(frozen=True)
class Reporter:
    """A process of the crowd, and how to read what it reports."""

    server: Server

    def report(self) -> dict[str, Any]:
        """Its latest report; empty before the first one."""
        return last_report(self.server.log)

    def finish(self) -> dict[str, Any]:
        """End it and return its final report; blocks while its clients empty their queues."""
        self.server.stop()
        return self.report()


class Crowd:
    """The load and the clients of one play, and the latest counts of both."""

    def __init__(self) -> None:
        self._reporters: dict[str, Reporter] = {}
        self._reports: dict[str, dict[str, Any]] = {}

    def gather(
        self,
        running: ExitStack,
        folder: Path,
        clients: Mapping[str, Any],
        requests_per_second: float,
    ) -> str:
        """Start both, to be ended by `running`; says which kind of clients they are.

        Args:
            clients: options of `start_clients`; the load goes to the same address.
        """
        self._reporters["clients"], kind = start_clients(folder, clients)
        running.enter_context(self._reporters["clients"].server)
        url, token = clients["url"], clients["token"]
        self._reporters["load"] = start_load(folder, url, token, requests_per_second)
        running.enter_context(self._reporters["load"].server)
        return kind

    @property
    def servers(self) -> list[Server]:
        """Its processes."""
        return [reporter.server for reporter in self._reporters.values()]

    def look(self) -> None:
        """Read the latest reports."""
        self._reports = {name: reporter.report() for name, reporter in self._reporters.items()}

    def dismiss(self) -> None:
        """End both, and keep their final reports; blocks until the last chunk is acknowledged."""
        for name in ("load", "clients"):
            if name in self._reporters:
                self._reports[name] = self._reporters[name].finish()

    def count(self, who: str, what: str) -> int:
        """A count of the `load` or the `clients`; 0 before their first report."""
        return int(self._reports.get(who, {}).get(what, 0))

    def failures(self) -> dict[str, int]:
        """Why requests failed, and how often."""
        return dict(self._reports.get("load", {}).get("reasons", {}))

    def sent(self) -> dict[str, int]:
        """The number of chunks of each stream, once it is dismissed."""
        return dict(self._reports.get("clients", {}).get("streams", {}))


def last_report(log: Path) -> dict[str, Any]:
    """The last whole JSON object among the lines of a log; empty if there is none."""
    with log.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL_BYTES))
        lines = file.read().splitlines(keepends=True)
    for line in reversed(lines):
        if line.startswith(b"{") and line.endswith(b"\n"):
            try:
                return dict(json.loads(line))
            except ValueError:
                continue
    return {}


def start_load(folder: Path, url: str, token: str, requests_per_second: float) -> Reporter:
    """Start the HTTP load."""
    options = {"url": url, "token": token, "requests_per_second": requests_per_second}
    argv = [sys.executable, "-m", "mina_ops.demo.load", json.dumps(options)]
    return Reporter(start("load", argv, folder, stop_seconds=30.0))


def start_clients(folder: Path, options: Mapping[str, Any]) -> tuple[Reporter, str]:
    """Start the streaming clients; also says which kind they are.

    Args:
        options: `url`, `token`, `session_id`, `clients`, `chunk_interval_ms`.
    """
    bundle = socket_io_client(client_folders())
    try:
        node: Path | None = programs.node()
    except ToolMissing:
        node = None
    if node is not None and bundle is not None:
        kind = "stock socket.io-client under node"
        modules = {"modules": str(bundle.parents[2])}
        script = Path(__file__).with_name("clients.mjs")
        argv: list[str | Path] = [node, script, json.dumps({**options, **modules})]
    else:
        kind = "python-socketio, for want of node and socket.io-client"
        argv = [sys.executable, "-m", "mina_ops.demo.clients", json.dumps(dict(options))]
    return Reporter(start("clients", argv, folder, stop_seconds=75.0)), kind
