"""Who answers is asked: swapped addresses, names with a slip, a wrong public address."""

from __future__ import annotations

import re
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from mina_ops.errors import AppUnhealthy, AppUnreachable, TrafficError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.config.settings import OperatorSettings, load
from mina_ops.operator.system import programs
from mina_ops.operator.traffic import identity, open_driver
from mina_ops.operator.traffic.gate import require_ready
from mina_ops.operator.traffic.model import Split
from tests.operator.balancers import Balancer
from tests.operator.stand_in import StandIns
from tests.support.command import MINA_OPS

ALL_BLUE = Split({"blue": 100, "green": 0})


def swapped(balancer: Balancer) -> Path:
    """The settings with the addresses of blue and green exchanged; the tables keep their order."""
    head, blue, green = re.split(r"(?m)^\[colours\.\w+\]\n", balancer.toml.read_text())
    green, _, rest = green.partition("[traffic]")
    tables = f"[colours.blue]\n{green}\n[colours.green]\n{blue}\n[traffic]{rest}"
    balancer.toml.write_text(head + tables)
    return balancer.toml


def changed(balancer: Balancer, old: str, new: str) -> OperatorSettings:
    text = balancer.toml.read_text()
    assert old in text
    balancer.toml.write_text(text.replace(old, new))
    return balancer.settings()


def test_all_who_answer_as_they_should_are_no_problem(balancer: Balancer) -> None:
    assert identity.problems(balancer.settings(), balancer.driver.read().split) == []


def test_swapped_addresses_are_told_before_anything_moves(nginx: Balancer) -> None:
    settings = load(swapped(nginx))
    found = identity.problems(settings, None)
    assert sum("answers as 'green', where mina-ops.toml has blue" in line for line in found) >= 2
    with pytest.raises(AppUnhealthy, match="answers as 'blue'"):
        require_ready(settings.colours["green"])
    for words in (["traffic", "check"], ["traffic", "install"], ["status"]):
        done = programs.run([MINA_OPS, "--config", str(nginx.toml), *words], timeout_seconds=60)
        assert done.code != 0, words
        assert "where mina-ops.toml has" in done.stdout, words
    switch = ["switch", "blue", "green", "--instant"]
    done = programs.run([MINA_OPS, "--config", str(nginx.toml), *switch])
    assert (done.code, "swapped" in done.stderr) == (3, True)


def test_a_colours_name_with_a_slip_is_told(balancer: Balancer) -> None:
    settings = changed(balancer, "[colours.green]", "[colours.gren]")
    found = identity.problems(settings, None)
    assert any("answers as 'green', where mina-ops.toml has gren" in line for line in found)
    wrong = r"between blue and green; mina-ops\.toml has blue and gren"
    with pytest.raises(TrafficError, match=wrong):
        open_driver(settings).read()


def test_a_public_address_that_is_another_is_told(nginx: Balancer, apps: StandIns) -> None:
    green = apps.instances["green"][0].address
    settings = changed(nginx, f'url = "http://127.0.0.1:{nginx.port}"', f'url = "http://{green}"')
    (found,) = identity.problems(settings, ALL_BLUE)
    assert re.search(r"public.url: .* answers as green, which has no share", found)


class _Anybody(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


def test_a_certificate_that_is_not_trusted_is_called_that(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    openssl = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    subprocess.run(
        [*openssl, "-keyout", key, "-out", certificate, *subject], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = HTTPServer(("127.0.0.1", 0), _Anybody)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"https://127.0.0.1:{server.server_port}"
    try:
        wrong = r"certificate .* not trust \(self-signed"
        with (
            AppClient("The public address", url) as client,
            pytest.raises(AppUnreachable, match=wrong),
        ):
            client.ready()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
