"""The host's limiter, CSRF guard, login wall and catch-all handler cannot break a probe."""

from __future__ import annotations

import http.client
from collections import Counter

from mina_ops.demo.processes import HOST, Server
from tests.app.flags.flagging import LASTING
from tests.app.health.probing import Probing
from tests.support.hosts import Hosts
from tests.support.wait import eventually

HOST_APP = "tests.app.health.health_host:app"


def _statuses(server: Server, path: str, requests: int) -> Counter[int]:
    connection = http.client.HTTPConnection(HOST, server.port, timeout=45)
    found: Counter[int] = Counter()
    for _ in range(requests):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        found[answer.status] += 1
    connection.close()
    return found


def test_a_thousand_probes_pass_a_limiter_of_a_hundred(start_host: Hosts) -> None:
    quick = {"MINA_OPS_HEALTH_INTERVAL": "0.2"}
    host = start_host(HOST_APP, environment=quick, options=LASTING)
    eventually(lambda: Probing(host).ask("/ready")[0] == 200)
    assert _statuses(host, "/api/health/ready", 500) == {200: 500}
    assert _statuses(host, "/api/health", 500) == {200: 500}
    # The limiter is real: the host's own page feels it.
    assert _statuses(host, "/", 150)[200] == 100


def test_wrong_methods_and_unknown_checks_get_our_answer_not_the_hosts(start_host: Hosts) -> None:
    host = start_host(HOST_APP, options=LASTING)
    connection = http.client.HTTPConnection(HOST, host.port, timeout=45)
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        connection.request(method, "/api/health/ready")
        answer = connection.getresponse()
        answer.read()
        # HAProxy's own `option httpchk PATH` asks with OPTIONS, so that is no error.
        status = 204 if method == "OPTIONS" else 405
        assert (answer.status, answer.headers["Allow"]) == (status, "GET, HEAD, OPTIONS")
    connection.close()
    assert Probing(host).ask("/nope")[0] == 404
