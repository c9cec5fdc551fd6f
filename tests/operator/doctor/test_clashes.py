"""The doctor names paths that a real host and mina_ops both want, and who answers there."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.hosts.host import TOKEN
from tests.support.command import MINA_OPS
from tests.support.hosts import Hosts


def test_a_route_that_the_host_has_too_is_a_warning_with_what_to_do(
    start_host: Hosts, tmp_path: Path
) -> None:
    host = start_host("tests.hosts.serve:app", environment={"ZOO_HOST": "exporter"})
    file = tmp_path / "mina-ops.toml"
    file.write_text(
        f'[colours.blue]\nurl = "{host.url}"\n[colours.green]\nurl = "http://127.0.0.1:9"\n'
    )
    done = subprocess.run(
        [MINA_OPS, "--config", file, "doctor", "app", "--json"],
        env={**os.environ, "MINA_OPS_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=100,
    )
    told = [one for one in json.loads(done.stdout)["findings"] if "own route" in one["text"]]
    assert [(one["area"], one["state"]) for one in told] == [("blue", "warning")], done.stdout
    assert "/metrics is the app's own route" in told[0]["text"]
    assert "get the app" in told[0]["text"]
    assert told[0]["todo"]
