from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from mina_ops.app.sessions import raw_ping as rawping
from mina_ops.app.sessions.raw_ping import LARGEST_MESSAGE, MOST_OPEN, OpenPing, RawPings, answer_to
from mina_ops.app.settings import Settings

UPGRADE = {"HTTP_UPGRADE": "websocket", "HTTP_HOST": "mina.example"}


def raw_pings(allowed: Any = None, cors: Any = None, **settings: Any) -> RawPings:
    eio = SimpleNamespace(
        async_mode="threading", cors_allowed_origins=cors, _cors_allowed_origins=lambda _: allowed
    )
    return RawPings(SimpleNamespace(eio=eio), Settings(**settings))


class Websocket:
    """One that says what a test gives it."""

    def __init__(self, *messages: Any) -> None:
        self.messages = [*messages, None]
        self.sent: list[str] = []
        self.closed = False

    def wait(self) -> Any:
        return self.messages.pop(0)

    def send(self, message: str) -> None:
        self.sent.append(message)

    def close(self) -> None:
        self.closed = True


def test_a_ping_is_answered_by_a_pong_with_milliseconds() -> None:
    assert answer_to('{"type": "ping"}', 1698123456.7891) == (
        '{"type":"pong","timestamp":1698123456789}'
    )


@pytest.mark.parametrize("message", ["", "hello", "[1]", '{"type": "pong"}', b"\xff", "[" * 5000])
def test_anything_else_is_told_what_to_send(message: str | bytes) -> None:
    assert json.loads(answer_to(message, 0))["error"] == 'Send {"type": "ping"}.'


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({**UPGRADE, "QUERY_STRING": "transport=websocket"}, True),
        ({**UPGRADE, "QUERY_STRING": ""}, True),
        ({**UPGRADE, "QUERY_STRING": "EIO=4&transport=websocket"}, False),
        ({**UPGRADE, "QUERY_STRING": "EIO=&transport=websocket"}, False),
        ({"QUERY_STRING": "transport=polling"}, False),
    ],
)
def test_only_websockets_that_name_no_engine_io_are_ours(
    environ: dict[str, str], wanted: bool
) -> None:
    assert raw_pings().wants(environ) is wanted


def test_it_can_be_switched_off() -> None:
    assert raw_pings(raw_ping=False).wants({**UPGRADE, "QUERY_STRING": ""}) is False


@pytest.mark.parametrize(
    ("allowed", "cors", "origin", "status"),
    [
        (None, "*", "https://else.example", None),
        (["https://mina.example"], None, "https://mina.example", None),
        (["https://mina.example"], None, "https://else.example", 403),
        (["https://mina.example"], None, "https://ops.example", None),
        (None, [], "https://mina.example", None),
        (None, [], "https://else.example", 403),
        (["https://mina.example"], None, None, None),
    ],
)
def test_origins_are_those_of_the_server_and_of_the_setting(
    allowed: Any, cors: Any, origin: str | None, status: int | None
) -> None:
    pings = raw_pings(allowed, cors, raw_ping_origins=("https://ops.example",))
    refused = pings.refusal({**UPGRADE, **({"HTTP_ORIGIN": origin} if origin else {})})
    assert (refused[1].status if refused else None) == status


def test_so_many_may_be_open_and_no_more() -> None:
    pings = raw_pings()
    pings._open = {number: OpenPing(None) for number in range(MOST_OPEN)}
    refused = pings.refusal(UPGRADE)
    assert refused is not None
    assert (refused[0], refused[1].status) == ("raw_pings", 503)


def test_a_message_that_is_too_large_ends_it() -> None:
    websocket = Websocket("x" * (LARGEST_MESSAGE + 1), '{"type": "ping"}')
    raw_pings()._converse(websocket, OpenPing(None))
    assert (websocket.sent, websocket.closed) == ([], True)


def test_more_messages_than_the_rate_allows_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rawping.time, "monotonic", lambda: 1.0)
    websocket = Websocket(*['{"type": "ping"}'] * 50)
    raw_pings()._converse(websocket, OpenPing(None))
    assert (len(websocket.sent), websocket.closed) == (10, True)


def test_one_that_is_idle_makes_room_for_another() -> None:
    pings = raw_pings()
    pings._open = {number: OpenPing(None) for number in range(MOST_OPEN)}
    pings._open[3].seen_at -= rawping.IDLE_SECONDS + 1
    assert pings.refusal(UPGRADE) is None
    assert pings.count == MOST_OPEN - 1
    assert 3 not in pings._open


@pytest.mark.parametrize(("places", "most"), [(1, 1), (8, 2), (64, 16), (1000, 16)])
def test_they_take_a_quarter_of_the_workers_places_at_the_most(places: int, most: int) -> None:
    pings = raw_pings(max_connections=places)
    pings._open = {number: OpenPing(None) for number in range(most - 1)}
    assert pings.refusal(UPGRADE) is None
    pings._open[most] = OpenPing(None)
    assert pings.refusal(UPGRADE) is not None
