"""Floods of every kind at once: clients still get in, nobody spills over, no verdict changes."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack

import socketio as socketio_client

from tests.operator.balancers import Balancer
from tests.operator.fronts import RealApps
from tests.security.flood import KINDS, Flood
from tests.security.raw import get

# A share of what a shared machine carries beside its other work; see tests/benchmarks/flood.py.
PER_SECOND = 10
CLIENTS = 4
LIMIT_SECONDS = 20


def test_clients_get_in_beside_a_flood_of_every_kind(
    open_site: Balancer, hostile_apps: RealApps
) -> None:
    green = hostile_apps.servers["green"]
    get(green.port, "/seen")
    with ExitStack() as running:
        floods = [
            running.enter_context(Flood(open_site.port, kind, per_second=PER_SECOND))
            for kind in KINDS
        ]
        for _ in range(CLIENTS):
            time.sleep(0.5)  # the floods go on for a while; nothing is waited for
            client = socketio_client.SimpleClient()
            client.connect(f"http://127.0.0.1:{open_site.port}", wait_timeout=LIMIT_SECONDS)
            client.disconnect()
            assert get(open_site.port, "/echo").status == 200
    assert min(flood.sent for flood in floods) > 3
    came = get(green.port, "/seen").body.decode("latin-1").split("\n")
    assert [path for path in came if path and not path.startswith("!")] == [], "green met somebody"
    errors = json.loads(get(open_site.port, "/api/metrics/errors").body)
    assert errors["errors_5min"] == 0
    # What a release is judged by: faults of the server, and how many clients fail.
    websockets = json.loads(get(open_site.port, "/api/metrics/websockets").body)
    assert websockets["failed_by_server"] == 0
    assert websockets["failing_clients"] <= 1, "a flood from one address is one client"
