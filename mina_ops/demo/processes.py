"""A server process that we started: wait until it answers, and end exactly that process.

Each one leads a session of its own, so Ctrl-C reaches only the parent, which ends them in
order; `kill` and `pause` act on the whole group, workers included. A parent that is killed ends
nothing: a `Keeper` beside each server does it then.
"""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil

from mina_ops.demo.keeper import Keeper
from mina_ops.errors import OperatorError

HOST = "127.0.0.1"
_POLL_SECONDS = 0.02
_ADDRESS_IN_USE = re.compile(rb"(address (already )?|connection )in use|EADDRINUSE", re.I)
_LOG_TAIL_BYTES = 2000

READY_SECONDS = 120.0
"""How long a server may take to answer: three workers that import their app beside fifteen busy
processes on two processors take 30 s."""
_SERVER_PORTS = range(15_000, 32_768)
_PORT_ATTEMPTS = 100


class ServerFailed(OperatorError):
    """A server ended, or did not answer in time; the message holds the end of its log."""

    code = "server_failed"


class AddressInUse(ServerFailed):
    """Another process took the port between choosing it and listening on it."""

    code = "address_in_use"


@dataclass
class Server:
    """A running server; leaving it as a context manager stops it.

    Attributes:
        name: what it is called in messages and in its log's name.
        port: the port it listens on, on 127.0.0.1; 0 if it listens on none.
        url: where clients reach it; empty if it listens on none.
        log: the file with its standard output and error.
        argv: the command that started it.
        process: the server itself.
        stop_seconds: how long a clean end may take before KILL follows.
        stop_signal: what asks for a clean end.
        keeper: ends it if we are killed.
    """

    name: str
    port: int
    url: str
    log: Path
    argv: Sequence[str]
    process: subprocess.Popen[bytes] = field(repr=False)
    stop_seconds: float = 10.0
    stop_signal: signal.Signals = signal.SIGTERM
    keeper: Keeper | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        """Process id of the server, and of the group with all its workers."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs; a paused server is alive."""
        if self.process.returncode is not None:
            return False
        # Not poll(), which reaps: an unreaped leader keeps its group's number from reuse.
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.pid, options) is None

    def stop(self) -> None:
        """End it cleanly, and KILL whatever is left after `stop_seconds`. Idempotent."""
        if self.alive:
            os.kill(self.pid, self.stop_signal)
            self.resume()
            deadline = time.monotonic() + self.stop_seconds
            while self.alive and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End it and its workers at once, as a crash does. Idempotent."""
        self._signal_group(signal.SIGKILL)
        if self.keeper is not None:
            # Before the server is reaped: from then on its number may be another group's.
            self.keeper.dismiss()
        self.process.wait()

    def pause(self) -> None:
        """Freeze it and its workers: connections are accepted and nothing answers."""
        self._signal_group(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it run on after `pause`."""
        self._signal_group(signal.SIGCONT)

    def log_tail(self, start: int = 0) -> str:
        """The last lines of its log, from byte `start` on at most."""
        data = self.log.read_bytes()[start:] if self.log.exists() else b""
        return data[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()

    def listens(self) -> bool:
        """Whether this very process, or a worker of it, listens on `port`."""
        # Asked for all the time that a server needs to start, so first what costs little: to look
        # for a socket in all processes of a busy machine takes a hundred times as long.
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex((HOST, self.port)):
                return False
        try:
            leader = psutil.Process(self.pid)
            family = [leader, *leader.children(recursive=True)]
            return any(self._listens_in(process) for process in family)
        except psutil.Error:
            return False

    def _listens_in(self, process: psutil.Process) -> bool:
        connections = process.net_connections(kind="tcp")
        return any(
            found.status == psutil.CONN_LISTEN and found.laddr.port == self.port
            for found in connections
        )

    def _signal_group(self, number: int) -> None:
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


def start(
    name: str,
    argv: Sequence[str | Path],
    folder: Path,
    *,
    port: int = 0,
    scheme: str = "http",
    environment: Mapping[str, str] | None = None,
    ready: Callable[[Server], bool] = lambda server: True,
    ready_seconds: float = READY_SECONDS,
    stop_seconds: float = 10.0,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Server:
    """The server that `argv` starts, once it listens on `port` and `ready` holds.

    Args:
        folder: its working directory and the place of its log, `<name>.log`; is created.
        port: the port that `argv` tells it to listen on; 0: it listens on none.
        environment: variables on top of this process's own.
        ready: asked repeatedly, and may raise `OSError` for "not yet".

    Raises:
        AddressInUse: its port was taken meanwhile; nothing of it is left running.
        ServerFailed: it ended or was not ready in `ready_seconds`; nothing of it is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{name}.log"
    command = [str(part) for part in argv]
    with log.open("ab") as output:
        log_start = output.tell()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    url = f"{scheme}://{HOST}:{port}" if port else ""
    server = Server(name, port, url, log, command, process, stop_seconds, stop_signal)
    started = False
    try:
        server.keeper = Keeper(process.pid, stop_signal, stop_seconds)
        _await_ready(server, ready, ready_seconds, log_start)
        started = True
    finally:
        if not started:
            server.kill()
    return server


def _await_ready(
    server: Server, ready: Callable[[Server], bool], seconds: float, log_start: int
) -> None:
    deadline = time.monotonic() + seconds
    while True:
        alive = server.alive
        if server.port and _ADDRESS_IN_USE.search(server.log.read_bytes()[log_start:]):
            raise AddressInUse(f"{server.name}: port {server.port} was taken by another process.")
        if not alive or time.monotonic() > deadline:
            slow = f"did not answer within {seconds:g} s (is this machine busy?)"
            happened = slow if alive else "ended at once"
            raise ServerFailed(
                f"{server.name} {happened}. Its log is {server.log}; the end of it:\n"
                f"{server.log_tail(log_start)}"
            )
        with suppress(OSError):
            if (not server.port or server.listens()) and ready(server):
                return
        time.sleep(_POLL_SECONDS)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now; another process may take it yet.

    It lies below what systems give to outgoing connections (Linux from 32768, others from 49152).
    There, while a server is down, a client's connection could be given the server's port, so that
    the server can't come back; a client that calls a dead server may even reach itself.

    Raises:
        ServerFailed: no port can be had.
    """
    for port in random.SystemRandom().sample(_SERVER_PORTS, _PORT_ATTEMPTS):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise ServerFailed(f"{HOST} has no free port: {_PORT_ATTEMPTS} were tried.")


def on_free_port(start_on: Callable[[int], Server], attempts: int = 5) -> Server:
    """What `start_on(port)` started, on a free port; another one is tried if it was taken.

    Raises:
        AddressInUse: every attempt lost its port to another process.
        ServerFailed: it did not start, for another reason.
    """
    for _ in range(attempts - 1):
        with suppress(AddressInUse):
            return start_on(free_port())
    return start_on(free_port())
