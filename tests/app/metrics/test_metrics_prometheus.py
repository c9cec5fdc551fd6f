"""A real Prometheus scrapes real processes, with our rules, and answers our dashboard."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mina_ops.demo.processes import HOST, Server, on_free_port, start
from mina_ops.demo.programs import installed
from mina_ops.demo.servers import answers
from tests.app.flags.flagging import LASTING
from tests.app.metrics.test_deployment import ALERTS, dashboard
from tests.app.metrics.test_metrics_processes import HOST as HOST_APP
from tests.app.metrics.test_metrics_processes import ask_all, await_samples, blue
from tests.support.hosts import Hosts
from tests.support.needs import need
from tests.support.wait import eventually

pytestmark = pytest.mark.once

CONFIGURATION = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{alerts}"]
scrape_configs:
  - job_name: mina
    static_configs: [{{targets: {targets}}}]
"""


@pytest.fixture
def colours(start_host: Hosts, redis_url: str) -> list[Server]:
    hosts = [
        start_host(
            HOST_APP,
            workers=2,
            environment=blue(redis_url, ENVIRONMENT=colour),
            options=LASTING,
        )
        for colour in ("blue", "green")
    ]
    for host in hosts:
        ask_all(host, 20)
        ask_all(host, 5, "/fails")
        ask_all(host, 2, "/outcome/transcription/ok")
        connect(host)
        await_samples(host, 27)
    return hosts


def connect(host: Server) -> None:
    """A Socket.IO session by polling, all on one connection and so in one process."""
    polling = f"{host.url}/socket.io/?EIO=4&transport=polling"
    with httpx.Client(timeout=45, limits=httpx.Limits(keepalive_expiry=None)) as client:
        sid = json.loads(client.get(polling).text[1:])["sid"]
        assert client.post(f"{polling}&sid={sid}", content="40").text == "OK"
        assert client.get(f"{polling}&sid={sid}").text.startswith("40")


@pytest.fixture
def prometheus(colours: list[Server], tmp_path: Path) -> Iterator[Server]:
    binary = need(lambda: installed("prometheus", "Install Debian's prometheus."))
    configuration = tmp_path / "prometheus.yml"
    targets = [f"{HOST}:{host.port}" for host in colours]
    configuration.write_text(CONFIGURATION.format(alerts=ALERTS, targets=targets))

    def start_on(port: int) -> Server:
        argv = [binary, "--config.file", configuration, "--storage.tsdb.path", tmp_path / "data"]
        argv += ["--web.listen-address", f"{HOST}:{port}", "--log.level", "warn"]
        ready = lambda server: answers(server, "/-/ready")  # noqa: E731
        return start("prometheus", argv, tmp_path, port=port, ready=ready)

    with on_free_port(start_on) as server:
        yield server


def query(prometheus: Server, expression: str) -> list[dict[str, Any]]:
    address = f"{prometheus.url}/api/v1/query"
    answer = httpx.get(address, params={"query": expression}, timeout=45)
    assert answer.status_code == 200, f"{expression}: {answer.text}"
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found


def test_prometheus_scrapes_both_colours_and_our_rules_and_panels_work(
    prometheus: Server, colours: list[Server]
) -> None:
    def scraped(times: int) -> bool:
        counts = query(prometheus, "count_over_time(up[1m]) and up == 1")
        return len(counts) == 2 and all(float(c["value"][1]) >= times for c in counts)

    eventually(lambda: scraped(2), 30, "scrapes of both colours")

    def shown(expression: str) -> dict[str, float]:
        found = query(prometheus, expression)
        return {r["metric"]["environment"]: float(r["value"][1]) for r in found}

    # What a scrape that came late hides for a second is there again after the next one.
    total = "sum by (environment) (http_server_request_duration_seconds_count)"
    eventually(lambda: shown(total) == {"blue": 27, "green": 27}, 10, "all requests of both")
    ratio = pytest.approx(5 / 27)
    eventually(lambda: shown("mina_error_ratio") == {"blue": ratio, "green": ratio}, 10, "errors")
    answer = httpx.get(f"{prometheus.url}/api/v1/rules", timeout=45)
    rules = answer.json()["data"]["groups"][0]["rules"]
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
    shipped = re.findall(r"^ +- alert: (\w+)$", ALERTS.read_text(), re.MULTILINE)
    assert [rule["name"] for rule in rules] == shipped
    for host in colours:
        ask_all(host, 5)
    for panel in dashboard()["panels"]:
        assert ("targets" in panel) == (panel["type"] != "text"), panel["title"]
        for target in panel.get("targets", ()):
            expression = target["expr"].replace("$environment", "blue|green")
            expression = expression.replace("$__rate_interval", "1m")
            eventually(
                lambda e=expression: query(prometheus, e), 15, f"{panel['title']} shows nothing"
            )
