"""Real apps behind a load balancer that is chosen by its name."""

from __future__ import annotations

import subprocess
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import httpx

from mina_ops.demo import programs
from mina_ops.demo.processes import Server
from tests.operator.balancers import (
    Apps,
    Balancer,
    envoy_in_front,
    gateway_in_front,
    haproxy_in_front,
    nginx_in_front,
)
from tests.operator.stand_in import StandIns
from tests.support.envoy import envoy as envoy_program
from tests.support.needs import need
from tests.support.traefik import traefik
from tests.support.wait import eventually


@dataclass
class RealApps:
    """A gunicorn for each colour."""

    servers: dict[str, Server]

    def toml(self) -> str:
        """The colours' tables."""
        return "\n".join(
            f'[colours.{name}]\nurl = "{server.url}"\ninstances = {{ "0" = "{server.url[7:]}" }}\n'
            for name, server in self.servers.items()
        )

    def until_ready(self) -> RealApps:
        """Itself, once both colours take visitors."""
        for server in self.servers.values():
            await_ready(server)
        return self


def is_ready(url: str) -> bool:
    """Whether an app takes visitors now."""
    return httpx.get(f"{url}/api/health/ready", timeout=30).is_success


def await_ready(server: Server) -> None:
    """Wait until a host takes visitors."""
    eventually(lambda: is_ready(server.url), 30, f"{server.url} is not ready")


def in_front(
    name: str, folder: Path, apps: Apps, more: str = ""
) -> AbstractContextManager[Balancer]:
    """The nginx, HAProxy, Envoy or Traefik of this machine before some apps, serving 100 % blue.

    Args:
        name: `nginx`, `haproxy`, `envoy` or `gateway`.
        more: further keys of the driver's table.
    """
    if name == "nginx":
        return nginx_in_front(folder, apps, need(programs.nginx), more)
    if name == "envoy":
        return envoy_in_front(folder, apps, need(envoy_program), more)
    if name == "gateway":
        pods = isinstance(apps, StandIns)
        return gateway_in_front(folder, apps, need(traefik), more, stand_ins=pods)
    binary = need(lambda: programs.installed("haproxy", "Install Debian's haproxy."))
    return haproxy_in_front(folder, apps, binary, more)


def new_certificate(folder: Path) -> Path:
    """A self-signed certificate and its key in one file, as HAProxy reads it; another each time."""
    openssl = need(lambda: programs.installed("openssl", "Install Debian's openssl."))
    argv = [str(openssl), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    argv += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    argv += ["-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    found = folder / "site.pem"
    found.write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return found


def tls(name: str, certificate: Path) -> str:
    """The driver's keys for a site over TLS, for `in_front`."""
    lines = f'certificate = "{certificate}"\n'
    return lines + (f'certificate_key = "{certificate}"\n' if name != "haproxy" else "")
