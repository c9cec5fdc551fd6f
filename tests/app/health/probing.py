"""Ask a host's probes over one connection, and keep how long each answer took."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psutil

from mina_ops.demo.openai_standin import OpenAIStandIn
from mina_ops.demo.processes import HOST, Server, free_port


@dataclass
class Probing:
    """What a host's probes answered, and the seconds that each took."""

    server: Server
    seconds: list[float] = field(default_factory=list)

    def ask(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and body of `/api/health<path>`."""
        connection = http.client.HTTPConnection(HOST, self.server.port, timeout=30)
        began = time.perf_counter()
        try:
            connection.request("GET", f"/api/health{path}")
            answer = connection.getresponse()
            body = json.loads(answer.read())
        finally:
            connection.close()
        self.seconds.append(time.perf_counter() - began)
        return answer.status, body

    def state(self, check: str) -> tuple[str, str | None]:
        """A check's state and its last error's class."""
        found = self.ask("")[1]["checks"][check]
        return found["status"], found.get("error")

    def quantile(self, share: float, last: int = 0) -> float:
        """A quantile of the last answers' durations, or of all so far, in seconds."""
        ordered = sorted(self.seconds[-last:])
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """A server that neither answers nor goes: all its processes, also those of other groups.

    PostgreSQL's backends lead groups of their own, which `Server.pause` does not reach.
    """
    leader = psutil.Process(server.pid)
    leader.suspend()  # first, so that it neither starts nor buries another child
    family = [leader, *leader.children(recursive=True)]
    for process in family:
        # One that had just ended: connections to the database come and go.
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    try:
        yield
    finally:
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.resume()


@contextmanager
def misbehaving(standin: OpenAIStandIn, mode: str) -> Iterator[None]:
    """The stand-in in another mode for a while."""
    standin.behave(mode)
    try:
        yield
    finally:
        standin.behave("ok")


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server((HOST, 0), backlog=512) as listener:
        yield listener.getsockname()[1]


@contextmanager
def reserved(port: int | None = None) -> Iterator[int]:
    """A port that refuses connections, kept for a server of ours that may take it meanwhile."""
    chosen = free_port() if port is None else port
    with socket.socket() as holder:
        # Two who both allow it may have one port, as long as only one of them listens.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((HOST, chosen))
        yield chosen
