"""What it costs that nginx opens a connection to the app for each request, and what keeping would.

The same app and load, directly and behind nginx: as mina_ops configures it (a connection for each
request), with connections kept for requests that may be repeated, and over a unix socket. Then the
app is told to reload, again and again, under the same load: a kept connection may be closed by the
app just as a request is sent on it, and a request that was lost so cannot be told from one that
killed its worker, which must not be sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from mina_ops.demo import programs
from mina_ops.demo.processes import Server
from mina_ops.demo.servers import start_gunicorn
from tests.benchmarks._report import Report, arguments
from tests.operator.balancers import nginx_in_front

REPOSITORY = Path(__file__).resolve().parents[2]
CONNECTIONS = 8
WORKERS = 2
_RELOAD_SECONDS = 4.0
# A connection that a worker left behind as it ended says nothing any more.
_PATIENCE_SECONDS = 5.0
REQUEST = b"GET /api/who HTTP/1.1\r\nHost: mina.example\r\n\r\n"


@dataclass
class Seen:
    """What a client of this load met; `took` in seconds."""

    took: list[float] = field(default_factory=list)
    failed: int = 0

    def p99_ms(self) -> float:
        return sorted(self.took)[int(0.99 * len(self.took))] * 1000


@dataclass
class OneApp:
    """The same process as both colours: what is measured does not depend on the colour."""

    address: str
    url: str

    def toml(self) -> str:
        return "\n".join(
            f'[colours.{name}]\nurl = "{self.url}"\ninstances = {{ "0" = "{self.address}" }}\n'
            for name in ("blue", "green")
        )


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """One request; whether it was answered as it should be."""
    writer.write(REQUEST)
    head = await reader.readuntil(b"\r\n\r\n")
    sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    await reader.readexactly(int(sizes[0].split(b":")[1]))
    return head.startswith(b"HTTP/1.1 200 ")


async def lane(port: int, until: float, seen: Seen) -> None:
    """One connection that asks again and again; a new one after a failure."""
    while time.monotonic() < until:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                while time.monotonic() < until:
                    began = time.monotonic()
                    seen.failed += 1
                    if await asyncio.wait_for(ask(reader, writer), _PATIENCE_SECONDS):
                        seen.failed -= 1
                        seen.took.append(time.monotonic() - began)
            finally:
                writer.close()


async def load(port: int, seconds: float, every: Callable[[], None] | None = None) -> Seen:
    """Load for so long; `every` is called now and then meanwhile."""
    seen, until = Seen(), time.monotonic() + seconds
    lanes = [asyncio.create_task(lane(port, until, seen)) for _ in range(CONNECTIONS)]
    while every is not None and time.monotonic() < until - _RELOAD_SECONDS:
        await asyncio.sleep(_RELOAD_SECONDS)
        every()
    await asyncio.gather(*lanes)
    return seen


def kept(config: str) -> str:
    """The rendered configuration with kept connections for requests that may be repeated."""
    text = config.replace(
        "upstream mina.blue.pool {", "upstream mina.blue.pool {\n    keepalive 32;", 1
    )
    changed = text.replace('    ""      close;', '    ""      "";', 1)
    if text in (config, changed):
        raise AssertionError("the configuration has another form by now")
    return changed


def cpu_seconds(servers: Sequence[Server]) -> float:
    """Processor time that servers and their workers have had."""
    roots = [psutil.Process(server.pid) for server in servers]
    every = [process for root in roots for process in (root, *root.children(recursive=True))]
    return sum(sum(process.cpu_times()[:2]) for process in every)


def measure(
    report: Report, name: str, port: int, options: Options, balancer: Sequence[Server] = ()
) -> float:
    """Speed, then failures while the app reloads; microseconds of CPU a request."""
    seconds, reload = options.seconds, options.reload
    asyncio.run(load(port, 1))
    before = cpu_seconds([options.server, *balancer])
    seen = asyncio.run(load(port, seconds))
    # What others do on this machine changes the rate, and hardly the time that is spent.
    cost = (cpu_seconds([options.server, *balancer]) - before) / len(seen.took) * 1_000_000
    report.figure(f"{name}_cpu_us_per_request", cost, 0)
    report.figure(f"{name}_requests_per_second", len(seen.took) / seconds, 0)
    report.figure(f"{name}_p99_ms", seen.p99_ms(), 2)
    report.figure(f"{name}_failed", seen.failed, 0)
    reloading = asyncio.run(load(port, seconds, reload))
    report.figure(f"{name}_reloading_requests", len(reloading.took), 0)
    report.figure(f"{name}_reloading_failed", reloading.failed, 0)
    return cost


def behind_nginx(
    report: Report,
    name: str,
    options: Options,
    change: Callable[[str], str] = str,
    *,
    socket: bool = False,
) -> float:
    """nginx with the rendered configuration, changed if need be, before an app of its own."""
    with fresh_app(options) as server, tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        app = OneApp(options.socket if socket else f"127.0.0.1:{server.port}", server.url)
        with nginx_in_front(folder, app, programs.nginx()) as balancer:
            config = folder / "state/mina.conf"
            config.write_text(change(config.read_text()))
            balancer.stop()
            balancer.start()
            return measure(report, name, balancer.port, options, [balancer.server])


@contextlib.contextmanager
def fresh_app(options: Options) -> Iterator[Server]:
    """The app, on a port and on a unix socket."""
    with tempfile.TemporaryDirectory() as place:
        options.socket = f"unix:{place}/app.sock"
        with start_gunicorn(
            Path(place),
            "tests.operator.traffic.versioned_host:app",
            worker_class="gthread",
            threads=16,
            workers=WORKERS,
            environment={"APP_VERSION": "v1", "MINA_OPS_REQUEST_LOG": "0"},
            import_from=REPOSITORY,
            options=["--log-level", "error", "--bind", options.socket],
        ) as server:
            options.server = server
            yield server


class Options:
    """What the command line asks for, and how the app is told to reload."""

    seconds: float
    json: bool
    server: Server
    socket: str

    def reload(self) -> None:
        os.kill(self.server.pid, signal.SIGHUP)


def main() -> int:
    """Measure all of them; nothing is a goal, the figures choose the configuration."""
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    options = parser.parse_args(namespace=Options())
    report = Report(options.json)
    with fresh_app(options) as server:
        direct = measure(report, "direct", server.port, options)
    costs = {
        "closed": behind_nginx(report, "nginx_closed", options),
        "kept": behind_nginx(report, "nginx_kept", options, kept),
        "socket": behind_nginx(report, "nginx_closed_socket", options, socket=True),
    }
    for name, cost in costs.items():
        report.figure(f"nginx_{name}_cpu_of_direct_percent", 100 * cost / direct, 1)
    report.figure("kept_cpu_of_closed_percent", 100 * costs["kept"] / costs["closed"], 1)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
