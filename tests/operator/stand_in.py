"""A stand-in for a colour's app: speaks the HTTP contract over a real socket, and does no work.

`python -m tests.operator.stand_in blue.0:8001 green.0:8002` serves several instances until it
is ended; `StandIns` does the same inside a test's own process.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from mina_ops.demo.processes import free_port

TOKEN = "token-of-the-tests"
_WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_REASONS = {200: "OK", 202: "Accepted", 503: "Service Unavailable"}


def pod_of(colour: str, instance: str) -> str:
    """The address that this instance has beside 127.0.0.1, as a pod has one of its own."""
    return f"127.0.{('blue', 'green').index(colour) + 1}.{int(instance) + 1}"


@dataclass
class Fleet:
    """What the instances of one colour share, as Redis would.

    One that is `refusing` turns handshakes away for that reason, while its probes still say that
    it is ready.
    """

    colour: str
    version: str = "v1.0.0"
    status: str = "healthy"
    failing: tuple[str, ...] = ()
    refusing: str = ""
    leases: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    drain: dict[str, Any] = field(default_factory=lambda: {"state": "serving"})
    report: dict[str, Any] = field(default_factory=dict)
    # Bodies of /api/metrics/<name>, where a test wants other figures.
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    # Bodies of checks in /api/health beside the database's.
    checks: dict[str, dict[str, Any]] = field(default_factory=dict)
    # Each look at a drain takes the next count; the last one stays.
    counts: list[int] = field(default_factory=lambda: [0])

    def count(self) -> int:
        return self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]


@dataclass
class Instance:
    """One listening process of a colour; `seen` counts requests by path.

    `heard` has the headers of the last one by method and target, as "GET /a?b=c".
    """

    fleet: Fleet
    name: str
    ready: bool = True
    redirect_to: str | None = None
    garbage: bool = False
    silent: bool = False
    seen: Counter[str] = field(default_factory=Counter)
    heard: dict[str, dict[str, str]] = field(default_factory=dict)
    arrivals: list[float] = field(default_factory=list)
    port: int = 0
    sids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    made: set[str] = field(default_factory=set)
    server: asyncio.Server | None = None
    # A second address, with the same port, as a pod has one that no other pod has.
    pod: str = ""
    pod_server: asyncio.Server | None = None
    writers: set[asyncio.StreamWriter] = field(default_factory=set)
    refusing: str = ""

    def reason(self, headers: dict[str, str]) -> str:
        """Why a handshake is turned away, as the app would say it; "": it may come in."""
        if self.fleet.drain["state"] != "serving":
            return "draining"
        if "x-mina-only-if-ready" in headers and not self.ready:
            return "unready"
        return self.refusing or self.fleet.refusing

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def serve(self, port: int = 0) -> None:
        # Not any free one: while it is stopped, a client's connection could be given its port.
        self.port = port or free_port()
        self.server = await asyncio.start_server(
            self._connected, "127.0.0.1", self.port, backlog=1024
        )
        if self.pod:
            self.pod_server = await asyncio.start_server(
                self._connected, self.pod, self.port, backlog=1024
            )

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Kept here, not by the task: one that is cancelled before its first step closes nothing.
        self.writers.add(writer)
        task = asyncio.ensure_future(self._client(reader, writer))
        task.add_done_callback(lambda _: self._closed(writer))

    def _closed(self, writer: asyncio.StreamWriter) -> None:
        writer.close()
        self.writers.discard(writer)

    def abort(self) -> None:
        """End the connections that are open, whatever they wait for."""
        for writer in self.writers:
            writer.transport.abort()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await self._request(reader, writer):
                pass

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *rest = head.strip().split("\r\n")
        headers = {k.lower(): v for k, _, v in (part.partition(": ") for part in rest)}
        method, target, _ = line.split(" ")
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        path, _, query = target.partition("?")
        self.seen[path] += 1
        self.heard[f"{method} {target}"] = headers
        if "upgrade" in headers and path.startswith("/socket.io"):
            return await self._upgrade(reader, writer, query, headers)
        if path == "/die":
            return False
        if path == "/hang":
            await asyncio.sleep(30)
        if self.silent:
            await asyncio.sleep(60)
        if not path.startswith(("/api/health", "/api/metrics", "/admin")):
            self.arrivals.append(time.monotonic())
        status, value = self._answer(method, path, query, headers, body)
        keep = headers.get("connection", "").lower() != "close" and "HTTP/1.1" in line
        key = self._sticky(path, headers) if "x-mina-sticky" in headers else ""
        self._send(writer, status, value, keep, key)
        await writer.drain()
        return keep

    def _sticky(self, path: str, headers: dict[str, str]) -> str:
        """The header with a sticky key, as the app gives one where the load balancer cannot."""
        from mina_ops.app.web.sticky import STICKY_KEY, StickyKeys

        proto = headers.get("x-forwarded-proto", "http")
        environ = {STICKY_KEY: headers["x-mina-sticky"], "PATH_INFO": path}
        environ |= {"wsgi.url_scheme": "http", "HTTP_X_FORWARDED_PROTO": proto}
        told: list[tuple[str, str]] = []
        given = [("Cache-Control", "public")] if "/public/" in path else []
        StickyKeys(self.fleet.colour).giving(environ, lambda _, found: told.extend(found))(
            "", given
        )
        return "".join(f"{name}: {value}\r\n" for name, value in told if name == "Set-Cookie")

    def _send(
        self, writer: asyncio.StreamWriter, status: int, value: Any, keep: bool, more: str = ""
    ) -> None:
        data = b"<html>" if self.garbage else json.dumps(value).encode()
        location = f"Location: {self.redirect_to}\r\n" if self.redirect_to else ""
        if self.redirect_to:
            status = 302
        reason = value.get("refused", "") if isinstance(value, dict) else ""
        refused = f"X-Mina-Refused: {reason}\r\n" if reason else ""
        if isinstance(value, dict) and "/public/" in value.get("path", ""):
            refused += "Cache-Control: public, max-age=60\r\n"
        kind = "application/problem+json" if status >= 400 else "application/json"
        writer.write(
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}\r\nContent-Type: {kind}\r\n"
            f"{location}{refused}{more}Content-Length: {len(data)}\r\n"
            f"X-Mina-Environment: {self.fleet.colour}\r\nX-Mina-Version: {self.fleet.version}\r\n"
            f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n".encode()
            + data
        )

    async def _upgrade(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        query: str,
        headers: dict[str, str],
    ) -> bool:
        """A tunnel that echoes, which is all that a proxy can tell a websocket by."""
        fleet = self.fleet
        if "sid=" not in query and self.reason(headers):
            self._send(writer, *self._refusal(headers), False)
            await writer.drain()
            return False
        who = f"{fleet.colour}.{self.name}\n".encode()
        key = headers.get("sec-websocket-key", "") + _WEBSOCKET_GUID
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + who
        )
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
        return False

    def _answer(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, Any]:
        fleet = self.fleet
        who = {"environment": fleet.colour, "version": fleet.version}
        if path == "/api/health":
            checks = {name: {"status": "unhealthy"} for name in fleet.failing}
            code = 200 if fleet.status == "healthy" else 503
            return code, {
                "status": fleet.status,
                **who,
                "checks": {"database": {"status": "healthy"}, **fleet.checks, **checks},
                "uptime_seconds": 12.5,
                **({"instance": self.name} if query.startswith("verbose") else {}),
            }
        if path == "/api/health/ready":
            if self.ready and fleet.drain["state"] == "serving":
                return 200, {"status": "ready", **who}
            return 503, {"status": "not_ready", "reasons": ["draining"], **who}
        if path == "/api/metrics/arrivals":
            return 200, self.arrivals
        if path.startswith("/api/metrics/"):
            return 200, {
                "active_connections": fleet.counts[0],
                "drain": fleet.drain["state"],
                "stale": False,
                **who,
                **fleet.metrics.get(path.removeprefix("/api/metrics/"), {}),
            }
        if path.startswith("/admin/"):
            return self._admin(method, path, query, headers, body)
        if path.startswith("/socket.io"):
            return self._engine(query, headers)
        about = {"colour": fleet.colour, "instance": self.name, "headers": headers, "path": path}
        if path.startswith("/static/") and path not in fleet.files:
            return 404, about
        return 200, about

    def _admin(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, Any]:
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"status": 401, "code": "not_authenticated", "detail": "no token"}
        fleet = self.fleet
        if path.startswith("/admin/leases/"):
            return self._lease(method, query, body)
        if path == "/admin/drain":
            if method == "POST":
                fleet.drain = {"state": "draining", **json.loads(body or b"{}")}
            elif method == "DELETE":
                fleet.drain = {"state": "serving"}
            count = fleet.count()
            if fleet.drain["state"] == "draining" and count == 0 and method == "GET":
                fleet.drain["state"] = "drained"
            return 202 if method == "POST" else 200, {
                **fleet.drain,
                **fleet.report,
                "active_connections": count,
            }
        if method == "POST":
            value = json.loads(body)
            if not isinstance(value.get("enabled"), bool):
                return 400, {"status": 400, "detail": "enabled must be true or false"}
            return 200, value
        return 200, {"flags": []}

    def _lease(self, method: str, query: str, body: bytes) -> tuple[int, Any]:
        leases = self.fleet.leases
        given = json.loads(body or b"{}")
        given |= dict(part.partition("=")[::2] for part in query.split("&") if part)
        held = leases.get("site")
        told = {"lease": held, "shared": True}
        if method == "GET":
            return 200, told
        if held is not None and held["id"] != given.get("id"):
            return 409 if method == "POST" else 412, told
        if method == "DELETE":
            leases.clear()
        elif method == "POST":
            leases["site"] = {"name": "site", "since": time.time(), **given}
        return 200, {"lease": leases.get("site"), "shared": True}

    def _refusal(self, headers: dict[str, str]) -> tuple[int, Any]:
        reason = self.reason(headers)
        wish = int(headers.get("x-mina-drain-status", "503"))
        return wish if reason == "draining" else 503, {"detail": reason, "refused": reason}

    def _engine(self, query: str, headers: dict[str, str]) -> tuple[int, Any]:
        given = dict(part.partition("=")[::2] for part in query.split("&") if part)
        if sid := given.get("sid", "").replace("%7E", "~"):
            known = sid in self.made
            return (200, {"sid": sid, "by": self.name}) if known else (400, "Invalid session")
        if self.reason(headers):
            return self._refusal(headers)
        sid = f"{self.fleet.colour}.{self.name}~{next(self.sids)}"
        self.made.add(sid)
        return 200, {"sid": sid, "by": self.name}


class StandIns:
    """Two colours of two instances each, on free ports, served by a thread of this process."""

    def __init__(self, instances: int = 2) -> None:
        leases: dict[str, dict[str, Any]] = {}
        self.fleets = {name: Fleet(name, leases=leases) for name in ("blue", "green")}
        self.instances = {
            name: [
                Instance(fleet, str(number), pod=pod_of(name, str(number)))
                for number in range(instances)
            ]
            for name, fleet in self.fleets.items()
        }
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def all(self) -> list[Instance]:
        return [instance for row in self.instances.values() for instance in row]

    def toml(self) -> str:
        """The colours' tables of a mina-ops.toml."""
        tables = []
        for name, row in self.instances.items():
            listed = ", ".join(f'"{one.name}" = "{one.address}"' for one in row)
            tables.append(
                f'[colours.{name}]\nurl = "http://{row[0].address}"\ninstances = {{ {listed} }}\n'
            )
        return "\n".join(tables)

    def stop_instance(self, instance: Instance) -> None:
        """It refuses connections from now on."""
        assert instance.server is not None
        self._call(self._close(instance))

    def start_instance(self, instance: Instance) -> None:
        """It listens again, on the port it had."""
        self._call(instance.serve(instance.port))

    def cut(self) -> None:
        """End every connection that is open, whatever it waits for."""
        for instance in self.all():
            self._loop.call_soon_threadsafe(instance.abort)

    def as_new(self) -> None:
        """Every instance listens, is ready and has seen nobody, whatever a test did to it."""
        leases: dict[str, dict[str, Any]] = {}
        for name, fleet in self.fleets.items():
            vars(fleet).update(vars(Fleet(name, leases=leases)))
        kept = ("fleet", "name", "port", "server", "pod", "pod_server", "writers")
        for instance in self.all():
            fresh = vars(Instance(instance.fleet, instance.name))
            vars(instance).update({k: v for k, v in fresh.items() if k not in kept})
            if instance.server is None or not instance.server.is_serving():
                self.start_instance(instance)

    async def _close(self, instance: Instance) -> None:
        assert instance.server is not None
        instance.server.close()
        if instance.pod_server is not None:
            instance.pod_server.close()

    def _call(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def __enter__(self) -> Self:
        self._thread.start()
        for instance in self.all():
            self._call(instance.serve())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for instance in self.all():
            self._call(self._close(instance))
        self._call(self._cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cancel_all(self) -> None:
        # Again until there is none: a connection that was just accepted makes its task meanwhile.
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for instance in self.all():
                instance.abort()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)


@contextmanager
def stand_ins(instances: int = 2) -> Iterator[StandIns]:
    """The stand-ins, running."""
    with StandIns(instances) as running:
        yield running


async def _main(specifications: Sequence[str]) -> None:
    fleets = {name: Fleet(name) for name in ("blue", "green")}
    for specification in specifications:
        tag, _, port = specification.partition(":")
        colour, _, name = tag.partition(".")
        await Instance(fleets[colour], name, pod=pod_of(colour, name)).serve(int(port))
    print("serving", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
