"""A fuzzer of headers over both balancers: nothing but documented answers, and never green's."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.operator.balancers import Balancer
from tests.operator.fronts import RealApps
from tests.security.raw import TARGETS, Reply, get, header_sets, send

# What a balancer answers by itself to what is no request; 501 is nginx's for an unknown coding.
REFUSED = {0, 400, 404, 405, 408, 411, 413, 414, 415, 417, 421, 422, 431, 501, 505}
SERVED = {101, 200, 204, 206, 304, 308, 401, 403, 416, 429}
COUNT, LONG_COUNT = 600, 20_000
SENDERS = 8
# A balancer waits for a body that a header announced and that never comes.
SILENT_SECONDS = 3.0


def test_no_header_moves_a_visitor_or_ends_in_an_undocumented_fault(
    open_site: Balancer, hostile_apps: RealApps, pytestconfig: pytest.Config
) -> None:
    count = LONG_COUNT if pytestconfig.getoption("--long") else COUNT
    green = hostile_apps.servers["green"]
    get(green.port, "/seen")
    found: Counter[int] = Counter()
    for target, lines, reply in _answers(open_site.port, header_sets(count)):
        found[reply.status] += 1
        assert _is_documented(reply), (reply.status, target, lines)
        assert reply.headers.get("x-mina-environment", "blue") == "blue", (target, lines)
        if target == "/echo" and reply.status == 200 and reply.body.startswith(b"{"):
            # A line that is empty ends the head, and what follows gets an answer of its own.
            _believes_nothing(json.JSONDecoder().raw_decode(reply.body.decode())[0])
    came = get(green.port, "/seen").body.decode("latin-1").split("\n")
    assert [path for path in came if path and not path.startswith("!")] == [], "green met somebody"
    print(f"{count} header sets: {dict(sorted(found.items()))}")
    assert found[200] > count / 10, f"nearly nothing was served: {found}"


def _answers(
    port: int, sets: Iterable[tuple[str, list[str]]]
) -> Iterator[tuple[str, list[str], Reply]]:
    """What each set of headers is answered; several are under way at a time."""
    every = list(sets)
    with ThreadPoolExecutor(SENDERS) as pool:
        ask = partial(get, port, seconds=SILENT_SECONDS)
        replies = pool.map(lambda one: ask(one[0], *one[1]), every)
        for (target, lines), reply in zip(every, replies, strict=True):
            yield target, lines, reply


def _is_documented(reply: Reply) -> bool:
    # A handshake that a worker has no room for.
    return reply.status in REFUSED | SERVED or "x-mina-refused" in reply.headers


def _believes_nothing(read: dict[str, str]) -> None:
    assert (read["SCRIPT_NAME"], read["PATH_INFO"], read["HTTP_FORWARDED"]) == ("", "/echo", "")
    assert read["HTTP_X_FORWARDED_FOR"] == read["HTTP_X_REAL_IP"] == "127.0.0.1"
    assert read["HTTP_X_FORWARDED_PROTO"] == "http"
    assert read["HTTP_UPGRADE"] in ("", "websocket")
    assert "<" not in read["HTTP_X_REQUEST_ID"]


SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: mina.example\r\nConnection: close\r\n\r\n"
FRAMINGS = [
    ("Content-Length: 0", "Transfer-Encoding: chunked"),
    (f"Content-Length: {len(SMUGGLED) + 5}", "Transfer-Encoding: chunked"),
    ("Content-Length: 5", f"Content-Length: {len(SMUGGLED) + 5}"),
    ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
    ("Transfer-Encoding: \x0bchunked", "Content-Length: 5"),
    ("Transfer_Encoding: chunked", "Content-Length: 5"),
    ("Transfer-Encoding: xchunked", "Content-Length: 5"),
    ("Content-Length: +5",),
    ("Content-Length: 5, 5",),
    ("Content-Length: 0x5",),
    ("Content-Length : 5",),
]


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("target", ["/echo", TARGETS[-2]])
def test_no_framing_smuggles_a_request_past_the_balancer(
    open_site: Balancer, hostile_apps: RealApps, framing: tuple[str, ...], target: str
) -> None:
    blue = hostile_apps.servers["blue"]
    get(blue.port, "/seen")
    lines = (f"POST {target} HTTP/1.1", "Host: mina.example", *framing)
    request = "\r\n".join(lines) + f"\r\n\r\n0\r\n\r\n{SMUGGLED}"
    # A balancer may wait for the rest of a body that never comes.
    reply = send(open_site.port, request.encode(), seconds=1.0)
    assert _is_documented(reply)
    # Two requests on one connection may be two, if the balancer knows of both.
    assert "!/smuggled" not in get(blue.port, "/seen").body.decode("latin-1").split("\n")
