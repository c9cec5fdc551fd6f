"""The client over real sockets: typed answers, and errors that say what next."""

from __future__ import annotations

import http.server
import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from mina_ops.errors import AccessDenied, AppUnreachable, OperatorError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.api.flags import FlagsClient
from tests.operator.stand_in import TOKEN, Instance, StandIns


@pytest.fixture
def blue(apps: StandIns) -> Instance:
    return apps.instances["blue"][0]


@pytest.fixture
def client(blue: Instance) -> Iterator[AppClient]:
    with AppClient("blue", f"http://{blue.address}", token=TOKEN) as found:
        yield found


def test_health_is_an_answer_whether_good_or_bad(client: AppClient, blue: Instance) -> None:
    good = client.health()
    assert (good.healthy, good.version, good.environment) == (True, "v1.0.0", "blue")
    assert good.failing() == []
    blue.fleet.status, blue.fleet.failing = "degraded", ("redis",)
    bad = client.health()
    assert (bad.healthy, bad.http_status, bad.failing()) == (False, 503, ["redis"])


def test_readiness_says_why_not(client: AppClient, blue: Instance) -> None:
    assert client.ready().ready
    blue.ready = False
    readiness = client.ready()
    assert (readiness.ready, readiness.http_status, readiness.reason) == (False, 503, "draining")


def test_connections_are_counted(client: AppClient, blue: Instance) -> None:
    blue.fleet.counts = [247]
    connections = client.connections()
    assert (connections.active, connections.drain_state) == (247, "serving")
    assert not connections.stale


def test_a_drain_is_ordered_watched_and_cancelled(client: AppClient, blue: Instance) -> None:
    blue.fleet.counts = [5, 3, 0]
    begun = client.begin_drain(12)
    assert (begun.state, begun.active_connections) == ("draining", 5)
    assert blue.fleet.drain["grace_seconds"] == 12
    assert client.drain_status().active_connections == 3
    assert client.drain_status().state == "drained"
    assert client.cancel_drain().state == "serving"


def test_flags_are_written_with_their_fields(client: AppClient) -> None:
    flags = FlagsClient(client)
    written = flags.set("enable_audio_replay", {"enabled": True, "rollout_percent": 10})
    assert written == {"key": "enable_audio_replay", "enabled": True, "rollout_percent": 10}
    assert "flags" in flags.all()


def test_a_refusal_of_the_app_is_told_in_its_words(client: AppClient) -> None:
    with pytest.raises(OperatorError, match=r"400 .* enabled must be true or false"):
        client.admin("POST", "/admin/flags", {"key": "x", "enabled": "yes"})


@pytest.mark.parametrize(("token", "said"), [(None, "none was sent"), ("wrong", "it was refused")])
def test_a_missing_and_a_wrong_token_are_told_apart(
    blue: Instance, token: str | None, said: str
) -> None:
    with (
        AppClient("blue", f"http://{blue.address}", token=token) as client,
        pytest.raises(AccessDenied, match=said) as caught,
    ):
        client.begin_drain()
    assert "wrong" not in str(caught.value)
    assert caught.value.exit_code == 8


def test_nobody_there_is_unreachable() -> None:
    with socket.socket() as held:  # so that nobody else listens on the port
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        with (
            AppClient("blue", url) as client,
            pytest.raises(AppUnreachable, match=f"blue cannot be reached at {url}"),
        ):
            client.health()


def test_a_hung_app_is_unreachable_within_the_limit(blue: Instance) -> None:
    blue.silent = True
    with (
        AppClient("blue", f"http://{blue.address}", answer_seconds=0.5) as client,
        pytest.raises(AppUnreachable, match="does not answer in time"),
    ):
        client.health()


@pytest.fixture
def closing_early() -> Iterator[tuple[str, list[bytes]]]:
    """Answers the first request of each connection, and closes when a second one comes."""
    came: list[bytes] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            came.append(self.request.recv(65536).split(b" ", 1)[0])
            self.request.sendall(
                b"HTTP/1.1 200 OK\r\nX-Mina-Environment: blue\r\n"
                b'Content-Length: 20\r\n\r\n{"status":"healthy"}'
            )
            came.append(self.request.recv(65536).split(b" ", 1)[0])

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", came
        server.shutdown()
        thread.join()


def test_a_question_is_asked_again_where_the_server_closed_an_idle_connection(
    closing_early: tuple[str, list[bytes]],
) -> None:
    url, came = closing_early
    with AppClient("blue", url) as client:
        assert client.health().healthy
        assert client.health().healthy
        assert came == [b"GET"] * 3


def test_an_order_is_not_given_twice(closing_early: tuple[str, list[bytes]]) -> None:
    url, came = closing_early
    with AppClient("blue", url) as client:
        client.health()
        with pytest.raises(AppUnreachable, match="cannot be reached"):
            client.begin_drain()
        assert came == [b"GET", b"POST"]


def test_an_answer_that_is_no_json_makes_no_sense(client: AppClient, blue: Instance) -> None:
    blue.garbage = True
    with pytest.raises(AppUnreachable, match="is no JSON object"):
        client.health()


def test_a_redirect_is_not_followed_and_gets_no_token(
    client: AppClient, blue: Instance, apps: StandIns
) -> None:
    other = apps.instances["green"][0]
    blue.redirect_to = f"http://{other.address}/admin/drain"
    with pytest.raises(AppUnreachable, match="redirects /admin/drain elsewhere"):
        client.begin_drain()
    assert other.seen["/admin/drain"] == 0


def test_a_proxy_of_the_shell_is_not_asked(
    client: AppClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert client.health().healthy


def test_the_token_is_in_no_repr_and_no_message(client: AppClient, blue: Instance) -> None:
    assert TOKEN not in repr(client)
    blue.garbage = True
    with pytest.raises(OperatorError) as caught:
        client.drain_status()
    assert TOKEN not in str(caught.value)


def test_a_success_that_mina_ops_did_not_give_is_not_believed(
    stranger: str,
) -> None:
    with AppClient("blue", stranger, token="secret") as client:
        with pytest.raises(AppUnreachable, match="not from mina_ops"):
            client.drain_status()
        with pytest.raises(AppUnreachable, match="not from mina_ops"):
            client.request("POST", "/admin/flags", body={"key": "audio"}, admin=True)


@pytest.fixture
def stranger() -> Iterator[str]:
    """A host whose own routes answer at our paths."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
