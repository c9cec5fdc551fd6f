"""The page from the operator's side, while no colour answers."""

from __future__ import annotations

import http.client
import json
from pathlib import Path

import httpx
import pytest

from mina_ops.errors import ConfigurationError
from mina_ops.operator.config.settings import load
from mina_ops.operator.console import answering, serving
from mina_ops.operator.console.document import document
from mina_ops.operator.release.journal import Journal
from mina_ops.operator.release.model import Phase
from tests.operator.balancers import Balancer
from tests.operator.fixtures import apps, nginx
from tests.operator.stand_in import StandIns

__all__ = ["apps", "nginx"]


@pytest.fixture
def both_down(apps: StandIns) -> None:
    for instance in apps.all():
        apps.stop_instance(instance)


@pytest.mark.usefixtures("both_down")
def test_the_page_is_served_and_says_what_does_not_answer(nginx: Balancer) -> None:
    settings = load(nginx.toml)
    assert answering.first(settings, "/mina-ops/") is None
    with serving.running(settings, 0) as server:
        url = f"http://127.0.0.1:{server.port}"
        assert "<title>" in httpx.get(f"{url}/").text
        assert httpx.get(f"{url}/static/main.js").status_code == 200
        data = httpx.get(f"{url}/data").json()
        assert httpx.post(f"{url}/act", json={"act": "drain"}).status_code == 501
    texts = [one["text"] for one in data["verdict"]]
    assert texts[:2] == ["blue does not answer", "green does not answer"]
    assert data["viewer"]["may_act"] is False
    # The load balancer was asked, and knows who would get the next visitor.
    assert data["colours"]["blue"]["share"]["given"] == 100
    assert data["colours"]["blue"]["figures"]["p95_ms"]["value"] is None


def test_a_release_that_nobody_is_at_work_on_is_told(nginx: Balancer, tmp_path: Path) -> None:
    file = tmp_path / "mina-ops.toml"
    file.write_text(f'{nginx.toml.read_text()}\n[release]\nfolder = "{tmp_path / "releases"}"\n')
    journal = Journal.create(tmp_path / "releases", "v2.5.0")
    journal.write("begin", Phase.SWITCH, **{"from": "blue", "to": "green"})
    release = document(load(file))["release"]
    assert (release["version"], release["phase"], release["alive"]) == ("v2.5.0", "switch", False)
    assert [p["name"] for p in release["phases"] if p["state"] == "now"] == ["switch"]


@pytest.mark.usefixtures("both_down")
def test_a_script_that_rebinds_a_name_gets_nothing(nginx: Balancer) -> None:
    with serving.running(load(nginx.toml), 0) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", "/data", headers={"Host": "evil.example.com"})
        answer = connection.getresponse()
        assert answer.status == 403
        assert b"verdict" not in answer.read()
        connection.close()


def test_a_port_that_is_taken_is_told(nginx: Balancer) -> None:
    settings = load(nginx.toml)
    with serving.running(settings, 0) as server:
        taken = serving.running(settings, server.port)
        with pytest.raises(ConfigurationError, match="Give another --port"), taken:
            pass
        assert json.loads(server.data())["product"] == "mina"
