"""Real load balancers in front of the stand-ins, each with its mina-ops.toml."""

from __future__ import annotations

import http.client
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from mina_ops.demo.processes import AddressInUse, Server, free_port, start
from mina_ops.demo.servers import nginx_configuration, start_nginx
from mina_ops.errors import TrafficError
from mina_ops.operator.config import settings
from mina_ops.operator.config.tables import Table
from mina_ops.operator.traffic import open_driver
from mina_ops.operator.traffic.base import TrafficDriver
from mina_ops.operator.traffic.envoy.options import read_options as envoy_options
from mina_ops.operator.traffic.gateway.options import read_options as gateway_options
from mina_ops.operator.traffic.haproxy.options import read_options as haproxy_options
from mina_ops.operator.traffic.model import Split
from mina_ops.operator.traffic.nginx.options import read_options as nginx_options
from mina_ops.operator.traffic.site import VisitorOptions
from tests.operator import own_site
from tests.operator.cluster import Cluster, cluster, start_traefik
from tests.operator.stand_in import pod_of


class Apps(Protocol):
    """Whatever can write the colours' tables of a mina-ops.toml."""

    def toml(self) -> str: ...


@dataclass
class Answer:
    """What a visitor got."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def colour(self) -> str:
        """The colour that served it."""
        return str(self.body["colour"])


@dataclass
class Balancer:
    """A running load balancer, its site's port, its settings and its driver."""

    folder: Path
    port: int
    toml: Path
    driver: TrafficDriver
    launch: Callable[[], Server]
    server: Server
    cluster: Cluster | None = None

    def stop(self) -> None:
        """End the load balancer."""
        self.server.stop()

    def start(self) -> None:
        """Start it again, with the files that it left."""
        self.server = self.launch()

    def as_new(self, toml: str) -> None:
        """Run with this mina-ops.toml again and send everybody to blue."""
        self.toml.write_text(toml)
        self.driver = open_driver(self.settings())
        if not self.server.alive:
            self.start()
        self.driver.install()
        self.driver.apply(Split.all_to("blue", ["blue", "green"]))

    def get(self, path: str = "/", **headers: str) -> Answer:
        """One request on a connection of its own; `X_User_ID` becomes `X-User-ID`."""
        return self.send("GET", path, {k.replace("_", "-"): v for k, v in headers.items()})

    def send(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> Answer:
        """One request on a connection of its own."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            link.request(method, path, body=body, headers=headers)
            response = link.getresponse()
            data = response.read()
        finally:
            link.close()
        pairs = {name.lower(): value for name, value in response.getheaders()}
        try:
            value = json.loads(data)
        except ValueError:
            value = data
        return Answer(response.status, pairs, value)

    def settle(self) -> None:
        """Return when a cluster knows which pods are there; other engines look for themselves."""
        if self.cluster is not None:
            self.cluster.settle(self.port)

    def key(self, number: int) -> str:
        """The cookie of one of many visitors; behind a Gateway it must have its bucket already."""
        bucket = f"{number % 100}." if self.settings().driver == "gateway" else ""
        return f"mina_key={bucket}visitor-{number}"

    def shares(self, keys: int = 200) -> dict[str, int]:
        """How many of so many sticky keys each colour gets."""
        seen = {"blue": 0, "green": 0}
        for key in map(self.key, range(keys)):
            seen[self.get("/", Cookie=key).colour] += 1
        return seen

    def add_keys(self, lines: str) -> None:
        """Add lines to the driver's table, and do nothing with them yet."""
        name = self.settings().driver
        table = f"[traffic.{name}]\n"
        self.toml.write_text(self.toml.read_text().replace(table, f"{table}{lines}\n"))

    def add_option(self, line: str) -> None:
        """Add a line to the driver's table and install it."""
        self.add_keys(line)
        self.driver = open_driver(self.settings())
        self.driver.install()

    def options(self) -> VisitorOptions:
        """The options of the site."""
        table = self.settings().section("traffic", self.settings().driver)
        read: dict[str, Callable[[Table], VisitorOptions]] = {
            "nginx": nginx_options,
            "haproxy": haproxy_options,
            "envoy": envoy_options,
            "gateway": gateway_options,
        }
        return read[self.settings().driver](table)

    def settings(self) -> settings.OperatorSettings:
        """The settings, read anew."""
        return settings.load(self.toml)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, no two the same."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return list(ports)


def write_toml(folder: Path, apps: Apps, port: int, traffic: str) -> Path:
    """A mina-ops.toml over the stand-ins."""
    file = folder / "mina-ops.toml"
    file.write_text(f'[public]\nurl = "http://127.0.0.1:{port}"\n\n{apps.toml()}\n{traffic}')
    return file


@contextmanager
def nginx_in_front(
    folder: Path, apps: Apps, binary: Path, more: str = "", driver_more: str = ""
) -> Iterator[Balancer]:
    """An nginx with the rendered configuration, serving 100 % blue.

    Args:
        binary: which nginx.
        more: further keys of `[traffic.nginx]`.
        driver_more: further text at the end of mina-ops.toml.
    """

    def begin() -> Balancer:
        port, control = free_ports(2)
        traffic = (
            f'[traffic]\ndriver = "nginx"\n[traffic.nginx]\nstate = "state"\n'
            f'listen = "127.0.0.1:{port}"\ncontrol = "127.0.0.1:{control}"\n'
            f'program = "{binary}"\nmain = "nginx.conf"\nprefix = "."\n{more}\n{driver_more}'
        )
        toml = write_toml(folder, apps, port, traffic)
        driver = open_driver(settings.load(toml))
        driver.install()
        main = folder / "nginx.conf"
        main.write_text(nginx_configuration(folder, f"include {folder}/state/mina.conf;"))

        def launch() -> Server:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PATH", f"{binary.parent}{os.pathsep}{os.environ['PATH']}")
                return start_nginx(folder, main, port=control)

        return Balancer(folder, port, toml, driver, launch, launch())

    with _running(begin) as balancer:
        yield balancer


def sid_of(answer: Answer) -> str:
    """The session id of a handshake's answer."""
    return str(answer.body["sid"])


def tag_of(sid: str) -> str:
    """Colour and instance of a session id."""
    match = re.fullmatch(r"(\w+\.\w+)~\d+", sid)
    assert match, sid
    return match[1]


@contextmanager
def haproxy_in_front(folder: Path, apps: Apps, binary: Path, more: str = "") -> Iterator[Balancer]:
    """An HAProxy with the rendered configuration, in master-worker mode, serving 100 % blue."""

    def begin() -> Balancer:
        port = free_port()
        traffic = (
            f'[traffic]\ndriver = "haproxy"\n[traffic.haproxy]\nstate = "state"\n'
            f'listen = "127.0.0.1:{port}"\nprogram = "{binary}"\npid_file = "haproxy.pid"\n{more}'
        )
        toml = write_toml(folder, apps, port, traffic)
        driver = open_driver(settings.load(toml))
        driver.install()
        _give_probes_time(folder / "state/haproxy.cfg")
        argv = [binary, "-W", "-p", folder / "haproxy.pid", "-f", folder / "state/haproxy.cfg"]

        def launch() -> Server:
            return start("haproxy", argv, folder, port=port, ready=lambda _: _is_read(driver))

        return Balancer(folder, port, toml, driver, launch, launch())

    with _running(begin) as balancer:
        yield balancer


@contextmanager
def own_site_in_front(folder: Path, apps: Apps, binary: Path) -> Iterator[Balancer]:
    """A HAProxy of the site's own behind `[traffic.command]`, serving 100 % blue."""

    def begin() -> Balancer:
        port = free_port()
        script = [sys.executable, "-I", "-S", own_site.__file__, str(folder)]
        commands = (f"{name} = {json.dumps([*script, name])}" for name in ("apply", "read"))
        traffic = '[traffic]\ndriver = "command"\n[traffic.command]\n' + "\n".join(commands)
        toml = write_toml(folder, apps, port, traffic)
        loaded = settings.load(toml)
        listed = {colour.name: dict(colour.instances) for colour in loaded.colours.values()}
        config = folder / "haproxy.cfg"
        config.write_text(own_site.configuration(folder, port, listed))
        first = Split.all_to("blue", loaded.colours)
        (folder / "split.map").write_text(own_site.entries(first.to_json()))

        def launch() -> Server:
            argv = [binary, "-db", "-f", config]
            return start("haproxy", argv, folder, port=port)

        return Balancer(folder, port, toml, open_driver(loaded), launch, launch())

    with _running(begin) as balancer:
        yield balancer


@contextmanager
def envoy_in_front(folder: Path, apps: Apps, binary: Path, more: str = "") -> Iterator[Balancer]:
    """An Envoy with the rendered configuration, serving 100 % blue."""

    def begin() -> Balancer:
        port = free_port()
        traffic = (
            f'[traffic]\ndriver = "envoy"\n[traffic.envoy]\nstate = "state"\n'
            f'listen = "127.0.0.1:{port}"\nprogram = "{binary}"\n{more}'
        )
        toml = write_toml(folder, apps, port, traffic)
        driver = open_driver(settings.load(toml))
        driver.install()
        # Several Envoys of one machine would else take each other for their own successor.
        argv = [binary, "-c", folder / "state/envoy.json", "--disable-hot-restart"]
        argv += ["--concurrency", "2"]

        def launch() -> Server:
            return start("envoy", argv, folder, port=port, ready=lambda _: _is_read(driver))

        return Balancer(folder, port, toml, driver, launch, launch())

    with _running(begin) as balancer:
        yield balancer


@contextmanager
def gateway_in_front(
    folder: Path, apps: Apps, binary: Path, more: str = "", *, stand_ins: bool = True
) -> Iterator[Balancer]:
    """A Traefik that follows the routes of a cluster, serving 100 % blue.

    Args:
        stand_ins: the apps are stand-ins, which listen at a pod's address as well.
    """
    port = free_port()
    traffic = (
        '[traffic]\ndriver = "gateway"\n[traffic.gateway]\nkubeconfig = "kubeconfig"\n'
        'gateway = "mina"\nsession_service = "mina-{colour}-{instance}"\n' + more
    )
    toml = write_toml(folder, apps, port, traffic)
    pods = _pods(toml, stand_ins=stand_ins)
    with cluster(folder, pods, port) as there:

        def launch() -> Server:
            return start_traefik(binary, folder, there.api, port)

        def begin() -> Balancer:
            server = launch()
            driver = open_driver(settings.load(toml))
            driver.install()
            return Balancer(folder, port, toml, driver, launch, server, there)

        with _running(begin) as balancer:
            yield balancer


def _pods(toml: Path, *, stand_ins: bool) -> dict[str, dict[str, tuple[str, int]]]:
    """Where the pods listen: stand-ins, at addresses of their own, or what the file lists."""
    found: dict[str, dict[str, tuple[str, int]]] = {}
    for name, colour in settings.load(toml).colours.items():
        pods = found[name] = {}
        for instance, address in colour.instances.items():
            host, _, port = address.rpartition(":")
            pods[instance] = pod_of(name, instance) if stand_ins else host, int(port)
    return found


def _give_probes_time(config: Path) -> None:
    """By itself HAProxy takes a server out whose answer to a probe takes half a second."""
    text = config.read_text()
    config.write_text(text.replace("timeout check 2s", "timeout check 30s"))


def _is_read(driver: TrafficDriver) -> bool:
    with suppress(TrafficError):
        driver.read()
        return True
    return False


@contextmanager
def _running(begin: Callable[[], Balancer]) -> Iterator[Balancer]:
    balancer = _on_free_ports(begin)
    try:
        yield balancer
    finally:
        balancer.stop()


def _on_free_ports(begin: Callable[[], Balancer], attempts: int = 5) -> Balancer:
    """What `begin` started; again, with other ports, where somebody took one meanwhile."""
    for _ in range(attempts - 1):
        with suppress(AddressInUse):
            return begin()
    return begin()
