"""nginx, HAProxy, Envoy and the app behind gunicorn read every spelling of a request alike."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest

from tests.operator.balancers import Balancer
from tests.operator.fronts import RealApps, in_front
from tests.operator.traffic.differential import SID, spellings
from tests.support.hosts import running_hosts

HOST = "tests.operator.traffic.one_reading_host:app"
HANDSHAKE = "/socket.io/?EIO=4&transport=polling"


@dataclass(frozen=True)
class Seen:
    """What the app behind the balancer made of a request."""

    colour: str
    what: str
    prefix: str
    request_id: str
    upgrade: str


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealApps]:
    with contextmanager(running_hosts)(tmp_path_factory.mktemp("apps")) as start:
        yield RealApps(
            {
                name: start(HOST, threads=8, environment={"ENVIRONMENT": name}, ready_path="/")
                for name in ("blue", "green")
            }
        )


@pytest.fixture(scope="module", params=["nginx", "haproxy", "envoy"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, apps: RealApps
) -> Iterator[Balancer]:
    folder = tmp_path_factory.mktemp("site")
    with in_front(request.param, folder, apps) as found:
        yield found


def ask(site: Balancer, target: str, *headers: str) -> Seen | None:
    """The app's reading of a request that is sent as it is; None: it never came that far."""
    head = "\r\n".join((f"GET {target} HTTP/1.1", "Host: mina.example", *headers))
    data = b""
    with socket.create_connection(("127.0.0.1", site.port), timeout=30) as link:
        link.sendall((head + "\r\nConnection: close\r\n\r\n").encode("latin-1"))
        with suppress(ConnectionError):
            while part := link.recv(65536):
                data += part
                if not data.startswith(b"HTTP/1.1 200 "[: len(data)]):
                    # Envoy keeps the connection for a second after it refused a request.
                    return None
    status, _, rest = data.partition(b"\r\n")
    if b" 200 " not in status:
        return None
    return Seen(*rest.partition(b"\r\n\r\n")[2].decode("latin-1").split("\n"))


def test_no_spelling_lets_a_visitor_choose_the_colour(
    site: Balancer, pytestconfig: pytest.Config
) -> None:
    count = 20_000 if pytestconfig.getoption("--long") else 2_000
    sure = ask(site, f"{HANDSHAKE}&sid={SID}")
    assert sure is not None
    assert (sure.colour, sure.what) == ("green", "session")
    came = 0
    for target in spellings(count):
        seen = ask(site, target)
        came += seen is not None
        # green has no share: all that may reach it is a session that it made.
        assert seen is None or seen.colour == "blue" or seen.what == "session", repr(target)
    assert came > count / 4, "nearly all were refused, so nearly nothing was compared"


@pytest.mark.parametrize(
    "header",
    [
        *("SCRIPT_NAME: /x", "SCRIPT-NAME: /x", "Script_Name: /zz", "PATH_INFO: /admin/drain"),
        *("X-Request-ID: goodgood1, <script>", "X_Request_ID: goodgood1", "Upgrade: h2c"),
        *("HTTP2-Settings: AAMAAABkAAQ", "X-Forwarded-Prefix: /x", "X_Forwarded_Prefix: /x"),
    ],
)
def test_a_header_moves_no_path_and_asks_for_no_other_protocol(site: Balancer, header: str) -> None:
    for target in ("/page", HANDSHAKE):
        seen = ask(site, target, header)
        assert seen is not None
        assert seen.what == ("page" if target == "/page" else "handshake")
        assert (seen.prefix, seen.upgrade) == ("", "")
        assert re.fullmatch(r"[A-Za-z0-9-]{8,128}", seen.request_id)


def test_two_request_ids_are_none(site: Balancer) -> None:
    seen = ask(site, "/page", "X-Request-ID: goodgood1", "X-Request-ID: <script>")
    assert seen is not None
    assert "script" not in seen.request_id
