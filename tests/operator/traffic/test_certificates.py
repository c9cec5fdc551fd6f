"""A certificate renewed as the documentation says: new visitors get it, no socket is cut."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mina_ops.operator.traffic.haproxy.options import read_options
from mina_ops.operator.traffic.haproxy.runtime import HaproxyRuntime
from tests.operator.balancers import Balancer
from tests.operator.fronts import in_front, new_certificate, tls
from tests.operator.stand_in import StandIns
from tests.support.wait import eventually


@pytest.fixture(params=["nginx", "haproxy", "envoy"])
def site(request: pytest.FixtureRequest, tmp_path: Path, apps: StandIns) -> Iterator[Balancer]:
    more = tls(request.param, new_certificate(tmp_path))
    with in_front(request.param, tmp_path, apps, more) as found:
        yield found


def connected(balancer: Balancer) -> ssl.SSLSocket:
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    link = socket.create_connection(("127.0.0.1", balancer.port), timeout=30)
    return trust.wrap_socket(link)


def presented(balancer: Balancer) -> bytes:
    """The certificate that a new visitor sees."""
    with connected(balancer) as link:
        return link.getpeercert(binary_form=True) or b""


def renew(balancer: Balancer) -> None:
    """What docs and nginx/README.md say to do once the new file is in place."""
    if balancer.settings().driver == "nginx":
        options = balancer.options()
        argv = [options.program, "-p", ".", "-c", str(options.main), "-s", "reload"]
        subprocess.run(argv, cwd=balancer.folder, check=True, capture_output=True)
        return
    if balancer.settings().driver == "envoy":
        # Envoy reads it anew whenever a file is renamed into its folder.
        file = balancer.folder / "site.pem"
        (balancer.folder / "next.pem").write_bytes(file.read_bytes())
        (balancer.folder / "next.pem").rename(file)
        return
    options = read_options(balancer.settings().section("traffic", "haproxy"))
    runtime = HaproxyRuntime(options.endpoints[0], options.map)
    file = options.certificate
    assert file is not None
    assert "Transaction created" in runtime.command(f"set ssl cert {file} <<\n{file.read_text()}")
    assert "Success" in runtime.command(f"commit ssl cert {file}")


def test_a_renewed_certificate_cuts_no_socket(site: Balancer, tmp_path: Path) -> None:
    before = presented(site)
    with connected(site) as link:
        link.sendall(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: mina.example\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        head = b""
        while not head.partition(b"\r\n\r\n")[2].endswith(b"\n"):
            head += link.recv(4096)
        (tmp_path / "next").mkdir()
        shutil.copy(new_certificate(tmp_path / "next"), tmp_path / "site.pem")
        renew(site)
        eventually(lambda: presented(site) != before, 20)
        link.sendall(b"still here")
        assert link.recv(100) == b"still here"
