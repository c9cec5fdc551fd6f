"""The files in nginx/ are what the drivers render."""

from __future__ import annotations

from pathlib import Path

import pytest

from mina_ops import shipped
from mina_ops.errors import ConfigurationError
from mina_ops.operator.config import settings
from mina_ops.operator.system import programs
from mina_ops.operator.traffic import open_driver

EXAMPLES = shipped.folder("nginx") / "examples"


@pytest.mark.parametrize(
    ("toml", "rendered"), [("nginx.toml", "mina.conf"), ("haproxy.toml", "haproxy.cfg")]
)
def test_the_shipped_examples_are_what_the_drivers_render(toml: str, rendered: str) -> None:
    driver = open_driver(settings.load(EXAMPLES / toml))
    texts = list(driver.render().values())
    assert texts == [(EXAMPLES / rendered).read_text()], (
        f"mina-ops --config nginx/examples/{toml} traffic render > nginx/examples/{rendered}"
    )


def test_haproxy_takes_an_address_that_is_only_a_port(tmp_path: Path, haproxy_binary: Path) -> None:
    text = (EXAMPLES / "haproxy.toml").read_text()
    file = tmp_path / "mina-ops.toml"
    lines = [line for line in text.splitlines() if not line.startswith(("certificate", "state"))]
    file.write_text("\n".join([*lines, f'state = "{tmp_path}"']))
    config = tmp_path / "haproxy.cfg"
    config.write_text("".join(open_driver(settings.load(file)).render().values()))
    (tmp_path / "split.map").write_text(".generation 1\n.percent 0\n")
    checked = programs.run([haproxy_binary, "-c", "-f", config])
    assert checked.ok, checked.reason()
    assert "bind *:443" in config.read_text()


def test_rendering_the_same_twice_gives_the_same_bytes() -> None:
    found = settings.load(EXAMPLES / "nginx.toml")
    assert open_driver(found).render() == open_driver(found).render()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('state = "/tmp/a;b"', r"traffic.nginx.state: .* must hold"),
        ('state = "/tmp/$x"', r"traffic.nginx.state: .* must hold"),
        ('listen = "80; evil"', r"traffic.nginx.listen: .* must look like"),
        ('server_name = "a;b"', r"traffic.nginx.server_name: .* must look like"),
        ('cookie = "a-b"', r"traffic.nginx.cookie: .* must look like"),
        ('user_header = "X User"', r"traffic.nginx.user_header: .* must look like"),
        ('user_header = "X-A"\nuser_cookie = "b"', r"user_header or user_cookie, not both"),
        ('control = "0.0.0.0:9180"', r"traffic.nginx.control: .* must be on loopback"),
        ('control = "9180"', r"traffic.nginx.control: .* must be on loopback"),
        ('control = "127.0.0.1:80"', r"traffic.nginx.control: .* another port than the site"),
        ('trusted_proxies = ["10.0.0.0/33"]', r"trusted_proxies: .* must be a network"),
        ('certificate = "/etc/x.pem"', r"give certificate and certificate_key, or neither"),
        ('max_body = "16 MB"', r"traffic.nginx.max_body: .* must look like"),
        ("read_timeout_seconds = 0", r"read_timeout_seconds: 0 is out of range"),
        ('socketio_path = "/a b"', r"traffic.nginx.socketio_path: .* must look like"),
        ('workers = "4"', r"traffic.nginx.workers: unknown key"),
    ],
)
def test_what_nginx_would_misread_is_refused(tmp_path: Path, line: str, message: str) -> None:
    text = (EXAMPLES / "nginx.toml").read_text().partition("[traffic.nginx]")[0]
    file = tmp_path / "mina-ops.toml"
    state = "" if line.startswith("state") else 'state = "/var/lib/mina-ops/nginx"\n'
    file.write_text(f"{text}[traffic.nginx]\n{state}{line}\n")
    with pytest.raises(ConfigurationError, match=message):
        open_driver(settings.load(file))
