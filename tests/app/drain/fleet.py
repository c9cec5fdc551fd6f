"""Two colours behind a real nginx, and stock clients that talk to them."""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys
import textwrap
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import redis

from mina_ops.demo import programs
from mina_ops.demo.processes import HOST, Server, on_free_port, start
from mina_ops.demo.servers import nginx_configuration, start_nginx
from tests.support.holding import HoldingLine
from tests.support.hosts import Hosts
from tests.support.wait import eventually

TOKEN = "token of a test"
ADMIN_TOKENS = f"tester:{hashlib.sha256(TOKEN.encode()).hexdigest()}"
CLIENTS = Path(__file__).with_name("clients.mjs")
APP = "tests.app.drain.host:app"
# As in that module, which cannot be imported without its environment.
LEDGER = "test:ledger:"
GARBLED = "test:garbled"
# For colours and clients whose drain shall force nobody and lose no connection, although any
# process may stand still for seconds: a hand-off is acknowledged once its chunks were answered.
PATIENT = {"MINA_OPS_DRAIN_ACK": "10", "MINA_OPS_DRAIN_CUT": "30"}
PATIENT_STREAMS = {
    "mode": "stream",
    "handoff_wait_ms": 8000,
    "ack_timeout_ms": 10_000,
    "last_acks_ms": 40_000,
}

# A small copy of what mina-ops writes for nginx: sids go home, refused handshakes go on.
_SITE = """
    map $http_upgrade $connection_header {{ default upgrade; "" close; }}
    map $arg_sid $home {{ "~^blue\\." blue; "~^green\\." green; default handshake; }}
    upstream blue {{ server {host}:{blue} max_fails=0; }}
    upstream green {{ server {host}:{green} max_fails=0; }}
    upstream handshake {{
        server {host}:{blue} max_fails=0;
        server {host}:{green} max_fails=0 backup;
    }}
    server {{
        listen {host}:{port} backlog=4096;
        location / {{
            proxy_pass http://$home;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_header;
            proxy_buffering off;
            proxy_read_timeout 1h;
            proxy_next_upstream error timeout http_503 non_idempotent;
        }}
    }}
"""

# The same for HAProxy.
_HAPROXY = """
    global
        stats socket {folder}/admin.sock mode 600 level admin
    defaults
        mode http
        timeout connect 5s
        timeout client 1h
        timeout server 1h
        timeout tunnel 1h
        option redispatch 1
        retries 3
    frontend site
        bind {host}:{port}
        use_backend blue if {{ url_param(sid) -m beg blue. }}
        use_backend green if {{ url_param(sid) -m beg green. }}
        default_backend handshake
    backend blue
        server blue {host}:{blue}
    backend green
        server green {host}:{green}
    backend handshake
        retry-on conn-failure empty-response 503
        use-server blue if TRUE
        server blue {host}:{blue} weight 1
        server green {host}:{green} weight 256
"""


@dataclass
class Colour:
    """A colour's server and its endpoints."""

    name: str
    server: Server
    http: httpx.Client
    line: HoldingLine | None = None
    """What the balancer reaches it over, if not directly."""

    @property
    def port(self) -> int:
        """Where the balancer reaches it."""
        return self.server.port if self.line is None else self.line.port

    def drain(self, **order: Any) -> httpx.Response:
        """Order it to drain."""
        return self.http.post("/admin/drain", json=order)

    def cancel(self) -> httpx.Response:
        """Take the order back."""
        return self.http.delete("/admin/drain")

    def status(self) -> dict[str, Any]:
        """How far it is."""
        answer: dict[str, Any] = self.http.get("/admin/drain").raise_for_status().json()
        return answer

    def active(self) -> int:
        """Its live sessions."""
        return int(self._figures()["active_connections"])

    def by_transport(self) -> dict[str, int]:
        """Its live sessions by their transport, which an upgrade changes."""
        found: dict[str, int] = self._figures()["by_transport"]
        return found

    def wait_until_drained(self, timeout: float) -> dict[str, Any]:
        """Its status once it is drained."""

        def drained() -> dict[str, Any] | None:
            status = self.status()
            return status if status["state"] == "drained" else None

        found = eventually(
            drained,
            timeout,
            f"{self.name} is not drained",
            interval=0.5,
            # A worker that a test kills may be the one that was asked.
            ignoring=(httpx.TransportError,),
        )
        assert found is not None
        return found

    def _figures(self) -> dict[str, Any]:
        answer = self.http.get("/api/metrics/connections").raise_for_status()
        figures: dict[str, Any] = answer.json()
        return figures


def colour(
    hosts: Hosts,
    name: str,
    *,
    redis_url: str,
    worker: str = "gevent",
    environment: Mapping[str, str] | None = None,
    **more: Any,
) -> Colour:
    """A running colour of the host in `tests.app.drain.host`.

    `gevent` is the worker whose websockets work: where gevent-websocket is installed, Engine.IO
    uses nothing else.
    """
    if worker == "gevent" and find_spec("geventwebsocket"):
        worker = "gevent-websocket"
    variables = {
        "ENVIRONMENT": name,
        "REDIS_URL": redis_url,
        "MINA_OPS_ADMIN_TOKENS": ADMIN_TOKENS,
        "MINA_OPS_REQUEST_LOG": "0",
        "MINA_OPS_SIGTERM_GRACE": "1",
        # An order is refused while Redis is silent for longer.
        "MINA_OPS_REDIS_TIMEOUT": "5",
        **(environment or {}),
    }
    server = hosts(more.pop("app", APP), worker=worker, environment=variables, **more)
    # Each call on a connection of its own: a kept one may lead to a worker that ends.
    http = httpx.Client(
        base_url=server.url,
        headers={"Authorization": f"Bearer {TOKEN}", "Connection": "close"},
        timeout=30,
    )
    return Colour(name, server, http)


def proxy(folder: Path, blue: Colour, green: Colour, *, workers: int = 1) -> Server:
    """An nginx before both: handshakes go to blue, and on to green when blue refuses them."""

    def start_on(port: int) -> Server:
        site = _SITE.format(host=HOST, port=port, blue=blue.port, green=green.port)
        text = nginx_configuration(folder, site, workers=workers)
        path = folder / "nginx.conf"
        path.write_text(text.replace("worker_connections 4096", "worker_connections 20000"))
        return start_nginx(folder, path, port=port)

    folder.mkdir(parents=True, exist_ok=True)
    return on_free_port(start_on)


def haproxy(folder: Path, blue: Colour, green: Colour) -> Server:
    """An HAProxy before both, which does the same as `proxy`."""
    binary = programs.installed("haproxy", "Install Debian's haproxy.")

    def start_on(port: int) -> Server:
        ports = {"port": port, "blue": blue.port, "green": green.port}
        path = folder / "haproxy.cfg"
        path.write_text(textwrap.dedent(_HAPROXY.format(folder=folder, host=HOST, **ports)))
        return start("haproxy", [binary, "-f", path], folder, port=port, ready=Server.listens)

    folder.mkdir(parents=True, exist_ok=True)
    return on_free_port(start_on)


@dataclass
class Clients:
    """A node process full of clients; leaving it as a context manager ends it."""

    process: subprocess.Popen[str]
    last: dict[str, Any] = field(default_factory=dict)
    final: dict[str, Any] | None = None

    @classmethod
    def start(cls, node: Path, url: str, *, script: Path = CLIENTS, **options: Any) -> Self:
        """Clients of `url`; `options` are those of clients.mjs, or of another script."""
        return cls._run([str(node), str(script), json.dumps({"url": url, **options})])

    @classmethod
    def start_python(
        cls, url: str, kinds: Sequence[str], *, python: Path | str = sys.executable
    ) -> Self:
        """Stock python-socketio clients; the reports are those of python_clients.py."""
        return cls._run([str(python), "-m", "tests.app.drain.python_clients", url, *kinds])

    @classmethod
    def start_module(cls, module: str, options: Mapping[str, Any]) -> Self:
        """Clients of a Python module that takes its options as JSON, as a script does."""
        return cls._run([sys.executable, "-m", module, json.dumps(options)])

    @classmethod
    def _run(cls, argv: Sequence[str]) -> Self:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        clients = cls(process)
        threading.Thread(target=clients._read, daemon=True).start()
        return clients

    def wait_for(self, timeout: float = 15, **wanted: Any) -> dict[str, Any]:
        """The first report in which each of these has this value."""

        def found() -> dict[str, Any] | None:
            last = self.last
            return last if all(last.get(key) == value for key, value in wanted.items()) else None

        report = eventually(found, timeout, f"no report with {wanted}, last {self.last}")
        assert report is not None
        return report

    def stop(self) -> None:
        """Send nothing more; idempotent."""
        assert self.process.stdin is not None
        self.process.stdin.write("stop\n")
        self.process.stdin.flush()

    def finish(self, timeout: float = 25) -> dict[str, Any]:
        """Stop sending, wait for the last acknowledgements; the final report."""
        self.stop()
        report = eventually(lambda: self.final, timeout, "no final report")
        assert report is not None
        return report

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait(5)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        try:
            for line in self.process.stdout:
                report = json.loads(line)
                self.last = report
                if report.get("final"):
                    self.final = report
        except ValueError:
            # Closed under us, or cut in the middle of a line: it is over.
            return


@dataclass(frozen=True)
class Losses:
    """What became of the chunks of all streams."""

    sent: int
    lost: int
    twice: int
    out_of_order: int
    colours: set[str]


def losses(redis_url: str, streams: Mapping[str, int]) -> Losses:
    """Compare what was handled with what was sent (stream -> number of chunks)."""
    lost = twice = disordered = 0
    colours: set[str] = set()
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        for stream, sent in streams.items():
            entries: Sequence[str] = client.lrange(LEDGER + stream, 0, -1)
            seqs = [int(entry.split()[0]) for entry in entries]
            colours |= {entry.split()[1] for entry in entries}
            lost += len(set(range(1, sent + 1)) - set(seqs))
            twice += len(seqs) - len(set(seqs))
            disordered += sum(b < a for a, b in itertools.pairwise(seqs))
    return Losses(sum(streams.values()), lost, twice, disordered, colours)


class Fleet:
    """Blue, green and the balancer before them (`nginx` or `haproxy`), ended together.

    Args:
        holding: the balancer reaches blue over a line on which a test can hold things up.
    """

    def __init__(
        self,
        hosts: Hosts,
        folder: Path,
        redis_url: str,
        *,
        balancer: str = "nginx",
        holding: bool = False,
        **options: Any,
    ) -> None:
        self._running = ExitStack()
        self.redis_url = redis_url
        self.blue = colour(hosts, "blue", redis_url=redis_url, **options)
        self.green = colour(hosts, "green", redis_url=redis_url, **options)
        if holding:
            self.blue.line = self._running.enter_context(
                closing(HoldingLine(self.blue.server.port))
            )
        before = haproxy if balancer == "haproxy" else proxy
        self.proxy = self._running.enter_context(before(folder, self.blue, self.green))
        for one in (self.blue, self.green):
            self._running.callback(one.http.close)
            # Not `stop`: a patient colour waits for clients that are gone.
            self._running.callback(one.server.kill)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.close()
