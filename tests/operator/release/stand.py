"""A small stand for releases: Redis, a process of each colour, nginx and HAProxy, a controller."""

from __future__ import annotations

import hashlib
import http.client
import itertools
import json
import os
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from mina_ops.demo import programs
from mina_ops.demo.processes import HOST, Server, free_port, start
from mina_ops.demo.servers import nginx_configuration, start_nginx, start_redis
from mina_ops.errors import OperatorError, TrafficError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.config.settings import OperatorSettings, load
from mina_ops.operator.traffic import open_driver
from mina_ops.operator.traffic.base import TrafficDriver
from mina_ops.operator.traffic.model import Split
from tests.support.clock import Clock
from tests.support.command import MINA_OPS
from tests.support.envoy import envoy as envoy_program
from tests.support.hosts import Hosts
from tests.support.needs import need
from tests.support.wait import eventually

TOKEN = "release-tests"
VERSIONS = {"blue": "v1", "green": "v2"}
QUICK = """
[release]
steps = [50, 100]
step_seconds = 0.3
look_seconds = 0.1
patience_seconds = 0
no_data = "continue"
health_seconds = 20
health_looks = 1
watch_seconds = 0.3
drain_grace_seconds = 0.2
gradual_seconds = 0.2
ready_seconds = 20
warm_up = ["/"]
[release.triggers]
p95_increase_ms = 60000
"""


class Stand:
    """What stands; every server may be stopped, killed and started again by a test."""

    def __init__(self, folder: Path, hosts: Hosts) -> None:
        self.folder = folder
        self._hosts = hosts
        self._started: list[subprocess.Popen[str]] = []
        self.redis = start_redis(folder / "redis")
        self.colours = {colour: self.start_colour(colour) for colour in VERSIONS}
        self.port, self._control, self.haproxy_port = free_port(), free_port(), free_port()
        self.file = folder / "mina-ops.toml"
        self._haproxy: Server | None = None
        self._envoy: Server | None = None
        self.envoy_port = free_port()
        self.plan(QUICK)
        self.settings: OperatorSettings = load(self.file)
        self.driver: TrafficDriver = open_driver(self.settings)
        self.driver.install()
        self.nginx = self.start_nginx()

    @property
    def haproxy(self) -> Server:
        """HAProxy with the driver's configuration, started when it is first wanted."""
        if self._haproxy is None:
            self.plan(QUICK, balancer="haproxy")
            open_driver(load(self.file)).install()
            self.start_haproxy()
        assert self._haproxy is not None
        return self._haproxy

    @property
    def envoy(self) -> Server:
        """Envoy with the driver's configuration, started when it is first wanted."""
        if self._envoy is None:
            self.plan(QUICK, balancer="envoy")
            driver = open_driver(load(self.file))
            driver.install()
            own = self.folder / "envoy"
            argv = [need(envoy_program), "-c", own / "envoy.json", "--disable-hot-restart"]
            argv += ["--concurrency", "2"]
            self._envoy = start("envoy", argv, own, port=self.envoy_port)
            eventually(driver.read, 30, ignoring=(TrafficError,))
        return self._envoy

    def start_colour(self, colour: str, port: int | None = None, instance: str = "0") -> Server:
        """One process of a colour, as its own server of the stand."""
        (self.folder / "faults").mkdir(exist_ok=True)
        environment = {
            "ENVIRONMENT": colour,
            "MINA_OPS_INSTANCE": instance,
            "APP_VERSION": VERSIONS[colour],
            "REDIS_URL": self.redis.url,
            "FAULTS": str(self.folder / "faults"),
            "MINA_OPS_ADMIN_TOKENS": f"t:{hashlib.sha256(TOKEN.encode()).hexdigest()}",
            "MINA_OPS_FLAGS_FILE": str(self.folder / f"flags-{colour}.json"),
            "MINA_OPS_BEAT": "0.2",
            "MINA_OPS_REDIS_TIMEOUT": "2",
            # For so long a drain waits for sessions that nobody polls, such as a flood's.
            "MINA_OPS_DRAIN_CUT": "0.5",
            "MINA_OPS_REQUEST_LOG": "0",
        }
        return self._hosts(
            "tests.operator.release.host:app",
            environment=environment,
            port=port,
            # One that was not run for 2 seconds would close a connection that just got a request.
            options=("--keep-alive", "300"),
        )

    def start_redis(self) -> None:
        """Redis again, empty, on the port that it had."""
        self.redis = start_redis(self.folder / "redis", port=self.redis.port)

    def start_nginx(self) -> Server:
        """nginx with the driver's site, on the stand's ports."""
        own = self.folder / "nginx"
        main = own / "nginx.conf"
        main.write_text(nginx_configuration(own, f"    include {own / 'state' / 'mina.conf'};"))
        return start_nginx(own, main, port=self.port)

    def start_haproxy(self) -> None:
        """HAProxy with the files that it has."""
        own = self.folder / "haproxy"
        argv = [_haproxy(), "-W", "-p", own / "haproxy.pid", "-f", own / "haproxy.cfg"]
        self._haproxy = start("haproxy", argv, own, port=self.haproxy_port)

    def plan(self, release: str, balancer: str = "nginx") -> None:
        """Write mina-ops.toml with this `[release]`, over nginx, HAProxy or Envoy."""
        tables = {"haproxy": self._haproxy_table, "envoy": self._envoy_table}
        lines = tables.get(balancer, self._nginx_table)()
        for colour, server in self.colours.items():
            lines += [f"[colours.{colour}]", f'url = "{server.url}"']
            lines += [f"[colours.{colour}.instances]", f'0 = "{HOST}:{server.port}"']
        self.file.write_text("\n".join(lines) + "\n" + release)

    def _haproxy_table(self) -> list[str]:
        own = self.folder / "haproxy"
        own.mkdir(exist_ok=True)
        lines = ["[public]", f'url = "http://{HOST}:{self.haproxy_port}"']
        lines += ["[traffic]", 'driver = "haproxy"', "[traffic.haproxy]", f'state = "{own}"']
        lines += [f'listen = "{HOST}:{self.haproxy_port}"', f'program = "{_haproxy()}"']
        return [*lines, f'pid_file = "{own / "haproxy.pid"}"']

    def _envoy_table(self) -> list[str]:
        own = self.folder / "envoy"
        own.mkdir(exist_ok=True)
        lines = ["[public]", f'url = "http://{HOST}:{self.envoy_port}"', "[traffic]"]
        lines += ['driver = "envoy"', "[traffic.envoy]", f'state = "{own}"']
        return [*lines, f'listen = "{HOST}:{self.envoy_port}"', f'program = "{envoy_program()}"']

    def _nginx_table(self) -> list[str]:
        own = self.folder / "nginx"
        own.mkdir(exist_ok=True)
        lines = ["[public]", f'url = "http://{HOST}:{self.port}"', "[traffic]", 'driver = "nginx"']
        lines += ["[traffic.nginx]", f'listen = "{HOST}:{self.port}"']
        lines += [f'control = "{HOST}:{self._control}"', f'state = "{own / "state"}"']
        lines += [f'program = "{programs.nginx()}"', f'main = "{own / "nginx.conf"}"']
        return [*lines, f'prefix = "{own}"']

    def faults(self, colour: str, **faults: float) -> None:
        """Let a colour be bad: `error_percent`, `slow_ms`, `unready`; nothing: well again."""
        path = self.folder / "faults" / f"{colour}.json"
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(faults))
        partial.replace(path)

    def share_of_green(self) -> int:
        """What the plan's load balancer itself says that green gets, in percent."""
        driver = open_driver(load(self.file))
        return eventually(driver.read, 10, ignoring=(TrafficError,)).split.percent["green"]

    def start(
        self, *arguments: str, within: Sequence[str] = (), clock: Clock | None = None
    ) -> subprocess.Popen[str]:
        """`mina-ops ARGUMENTS` in the background.

        Args:
            within: a command that runs it, such as `prlimit`.
            clock: its wall clock; default: the machine's.
        """
        argv = [*within, MINA_OPS, "--config", str(self.file), *arguments]
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "MINA_OPS_TOKEN": TOKEN,
                "NO_COLOR": "1",
                **(clock.environment if clock else {}),
            },
        )
        self._started.append(process)
        return process

    def run(
        self, *arguments: str, within: Sequence[str] = (), clock: Clock | None = None
    ) -> Outcome:
        """`mina-ops ARGUMENTS` to its end; else as `start`."""
        return ended(self.start(*arguments, within=within, clock=clock))

    def status(self) -> dict[str, Any]:
        """What `release status --json` says."""
        return dict(json.loads(self.run("release", "status", "--json").out))

    def entries(self) -> list[dict[str, Any]]:
        """The newest journal's lines."""
        newest = sorted((self.folder / "releases").glob("*/journal.jsonl"))[-1:]
        # What follows the last line's end is being written.
        lines = newest[0].read_text().split("\n")[:-1] if newest else []
        return [json.loads(line) for line in lines]

    def until_given(self, percent: int) -> None:
        """Wait until the release has given green this share, and has seen that it is served.

        The load balancer serves it a moment before; what a release has not seen, it takes back.
        """
        eventually(lambda: any(e.get("applied") == percent for e in self.entries()), 45)

    def settle(self) -> None:
        """Bring everything back: no faults, no drain, traffic on blue, no release open."""
        for colour in VERSIONS:
            self.faults(colour)
        self.plan(QUICK)
        balancers = [one for one in (self.nginx, self._haproxy, self._envoy) if one is not None]
        for server in (self.redis, *balancers, *self.colours.values()):
            server.resume()
        for process in self._started:
            if process.poll() is None:
                process.kill()
                ended(process)
        self._started.clear()
        with redis.Redis.from_url(self.redis.url) as client:
            client.flushall()
        for name, server in self.colours.items():
            with AppClient(name, server.url, token=TOKEN) as app:
                eventually(
                    lambda app=app: app.cancel_drain() and app.ready().ready,
                    20,
                    f"{name} to be ready",
                    ignoring=(OperatorError,),
                )
        self._all_to_blue(self.driver)
        for name, started in (("haproxy", self._haproxy), ("envoy", self._envoy)):
            if started is not None:
                self.plan(QUICK, balancer=name)
                self._all_to_blue(open_driver(load(self.file)))
                self.plan(QUICK)
        for left in (*self.folder.rglob("*holder.json"), *self.folder.rglob("freeze.json")):
            left.unlink()
        for folder in (self.folder / "releases").glob("*-*"):
            shutil.rmtree(folder)

    def _all_to_blue(self, driver: TrafficDriver) -> None:
        split = Split.all_to("blue", self.settings.colours)
        eventually(lambda: driver.apply(split), 10, ignoring=(TrafficError,))

    def stop(self) -> None:
        """End every server of the stand; the hosts are ended by their fixture."""
        self.nginx.stop()
        for started in (self._haproxy, self._envoy):
            if started is not None:
                started.stop()
        self.redis.stop()


def _haproxy() -> Path:
    return need(lambda: programs.installed("haproxy", "Install Debian's haproxy."))


class Outcome:
    """How a command ended: exit code, standard output and error."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


def ended(process: subprocess.Popen[str], seconds: float = 200.0) -> Outcome:
    """The outcome of a command that was started."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"did not end within {seconds} s:\n{out}\n{err}") from None
    return Outcome(process.returncode, out, err)


@contextmanager
def traffic(
    port: int, *, a_second: float = 150.0, visitors: int = 3
) -> Iterator[Mapping[str, Counter[str]]]:
    """Visitors at a steady rate while the body runs; counts answers by colour and status.

    Args:
        visitors: how many requests there may be at once.
    """
    seen = {"colour": Counter[str](), "status": Counter[str]()}
    stop = threading.Event()
    numbers = itertools.count()

    def visit() -> None:
        due = time.monotonic()
        while not stop.is_set():
            due += visitors / a_second
            connection = http.client.HTTPConnection(HOST, port, timeout=30)
            try:
                # Each is somebody else: who brings no cookie is told apart by its user agent.
                connection.request("GET", "/", headers={"User-Agent": f"browser {next(numbers)}"})
                response = connection.getresponse()
                body = response.read().decode()
                seen["status"][str(response.status)] += 1
                seen["colour"][body] += 1
            except (OSError, http.client.HTTPException) as error:
                seen["status"][type(error).__name__] += 1
            finally:
                connection.close()
            stop.wait(max(0.0, due - time.monotonic()))

    threads = [threading.Thread(target=visit) for _ in range(visitors)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()
