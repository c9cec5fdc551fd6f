"""Two HAProxy on hosts of their own, one of which loses its network: it answers nothing at all."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mina_ops.demo.processes import Server, start
from mina_ops.operator.config import settings
from mina_ops.operator.system import programs
from mina_ops.operator.traffic import open_driver
from tests.support.command import MINA_OPS
from tests.support.namespaces import Network, network
from tests.support.wait import eventually

HOSTS = ("lb1", "lb2")
COLOURS = """
[colours.blue]
url = "http://127.0.0.1:8001"
instances = { "0" = "127.0.0.1:8001" }
[colours.green]
url = "http://127.0.0.1:8002"
instances = { "0" = "127.0.0.1:8002" }
"""
# Each host has two seconds to answer. What came back after minutes would have waited for TCP to
# give up.
NAMED_WITHIN_SECONDS = 60.0


@dataclass
class Site:
    """Two HAProxy that a controller reaches over a network."""

    net: Network
    folder: Path

    def run(self, *arguments: str, text_in: str | None = None) -> programs.Result:
        """`mina-ops ARGUMENTS --json` on the controller's host."""
        argv = [*self.net.within(), str(MINA_OPS), "--config", str(self.folder / "mina-ops.toml")]
        return programs.run([*argv, *arguments, "--json"], text_in=text_in, timeout_seconds=120)

    def apply(self, percent: int) -> programs.Result:
        """Give green this share."""
        split = json.dumps({"percent": {"blue": 100 - percent, "green": percent}, "cohorts": {}})
        return self.run("traffic", "apply", text_in=split)

    def kept(self) -> list[str]:
        """The share that each host has on its disk."""
        lines = [(self.folder / name / "split.map").read_text().splitlines()[1] for name in HOSTS]
        return [line.removeprefix(".percent ") for line in lines]


def _start_haproxy(folder: Path, net: Network, name: str, binary: Path) -> Server:
    """HAProxy on its host, with the map at a path that is the same on every host."""
    (folder / name).mkdir()
    address = net.addresses[name]
    toml = folder / name / "mina-ops.toml"
    toml.write_text(
        f'[public]\nurl = "http://{address}:8080"\n{COLOURS}[traffic]\ndriver = "haproxy"\n'
        f'[traffic.haproxy]\nstate = "state"\nmap = "{folder / "split.map"}"\n'
        f'listen = "{address}:8080"\nbind_socket = "{address}:9999"\n'
    )
    config = folder / name / "haproxy.cfg"
    config.write_text("".join(open_driver(settings.load(toml)).render().values()))
    (folder / name / "split.map").write_text(".generation 1\n.percent 0\n")
    (folder / "split.map").unlink(missing_ok=True)
    (folder / "split.map").symlink_to(folder / name / "split.map")
    return start(name, [*net.within(name), binary, "-W", "-f", config], folder / name)


@pytest.fixture
def site(tmp_path: Path, haproxy_binary: Path) -> Iterator[Site]:
    with network(*HOSTS) as net, ExitStack() as running:
        apps = [*net.within(), sys.executable, "-m", "tests.operator.stand_in"]
        root = Path(__file__).parents[3]
        apps += ["blue.0:8001", "green.0:8002"]
        running.enter_context(start("apps", apps, tmp_path, environment={"PYTHONPATH": str(root)}))
        listed = []
        for name in HOSTS:
            running.enter_context(_start_haproxy(tmp_path, net, name, haproxy_binary))
            keep = tmp_path / name / "keep"
            keep.write_text(f"#!/bin/sh\ncat > {tmp_path / name / 'split.map'}\n")
            keep.chmod(0o755)
            listed.append(
                f'{name} = {{ socket = "{net.addresses[name]}:9999", persist = ["{keep}"] }}'
            )
        own = (tmp_path / "lb1/mina-ops.toml").read_text()
        hosts = "[traffic.haproxy.hosts]\n" + "\n".join(listed)
        (tmp_path / "mina-ops.toml").write_text(f"{own}{hosts}\n")
        found = Site(net, tmp_path)
        eventually(lambda: found.run("traffic", "read").code == 0, 30)
        yield found


def test_a_host_without_network_is_named_in_time_and_stops_no_way_back(site: Site) -> None:
    assert site.apply(30).code == 0
    site.net.cut("lb2")
    began = time.monotonic()
    refused = site.apply(60)
    assert time.monotonic() - began < NAMED_WITHIN_SECONDS
    assert refused.code != 0
    assert "HAProxy lb2 does not answer" in refused.stderr
    assert site.kept() == ["30", "30"]

    back = site.run("switch", "green", "blue", "--instant", "--force")
    assert back.code == 0, back.stderr
    told: dict[str, Any] = json.loads(back.stdout)
    assert list(told["left_behind"]) == ["lb2"]
    assert site.kept() == ["0", "30"]

    site.net.join("lb2")
    assert site.apply(10).code == 0
    assert site.kept() == ["10", "10"]
