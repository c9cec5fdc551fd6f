"""The playbook's section 3.1, typed as it stands; only its host names become addresses."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mina_ops.demo import programs
from mina_ops.demo.front import SETTINGS_FILE
from mina_ops.demo.stage import Stage, standing
from tests.app.drain.fleet import PATIENT, Clients
from tests.support.hosts import REPOSITORY
from tests.support.needs import need, need_worker
from tests.support.wait import eventually

OPTION_A = "./scripts/admin_drain.sh mina-blue"
OPTION_B = r"""
SESSION_COOKIE=$(curl -X POST https://mina-blue.replit.app/api/auth/login \
  -d "username=$ADMIN_USER&password=$ADMIN_PASS" \
  -c - | grep session | awk '{print $7}')

curl -X POST https://mina-blue.replit.app/admin/drain \
  -b "session=$SESSION_COOKIE"
"""
MONITOR = "curl -s https://mina-blue.replit.app/api/metrics/connections"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The demo's blue and green behind nginx."""
    need_worker("gevent")
    need(programs.redis_server)
    need(programs.nginx)
    steps: list[str] = []
    # Option A names its grace, 30 s; Option B leaves it to the app.
    environment = {
        **PATIENT,
        "MINA_OPS_DRAIN_GRACE": "6",
        # No instance is out of the count for a while because it stood still.
        "MINA_OPS_PRESENCE_TTL": "30",
        "MINA_OPS_REDIS_TIMEOUT": "5",
    }
    folder = tmp_path_factory.mktemp("stage")
    with standing(folder, steps.append, environment) as running:
        yield running


def type_in(stage: Stage, commands: str, **variables: str) -> str:
    """The standard output of the playbook's commands in a shell."""
    address = stage.instances["blue"][0].url
    done = subprocess.run(
        [
            "bash",
            "-euo",
            "pipefail",
            "-c",
            commands.replace("https://mina-blue.replit.app", address),
        ],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "PATH": f"{Path(programs.gunicorn()).parent}:{os.environ['PATH']}",
            "MINA_OPS_CONFIG": str(stage.folder / SETTINGS_FILE),
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("option", ["A", "B"])
def test_the_playbooks_drain_ends_at_0_connections(option: str, stage: Stage, node: Path) -> None:
    blue, green = (stage.instances[name][0].url for name in ("blue", "green"))
    transports = [["websocket"], []]
    with Clients.start(node, stage.nginx.url, clients=20, transports=transports) as clients:
        clients.wait_for(connected=20, colours={"blue": 20})

        def active() -> int:
            return int(json.loads(type_in(stage, MONITOR))["active_connections"])

        eventually(lambda: active() == 20, 5, "not all are counted")
        counts = [20]
        if option == "A":
            type_in(stage, OPTION_A)
        else:
            words = {"ADMIN_USER": "admin", "ADMIN_PASS": stage.keys.passwords["admin"]}
            assert json.loads(type_in(stage, OPTION_B, **words))["state"] == "draining"

        def is_over() -> bool:
            counts.append(active())
            return counts[-1] == 0

        eventually(is_over, 45, "connections did not drain to 0", interval=1.0)
        clients.wait_for(25, connected=20, colours={"green": 20})
        assert counts == sorted(counts, reverse=True)
        ready = f"{green}/api/health/ready"
        eventually(lambda: httpx.get(ready).status_code == 200, 10, "green is not ready")
    token = {"Authorization": f"Bearer {stage.keys.admin_token}"}
    assert httpx.delete(f"{blue}/admin/drain", headers=token, timeout=30).status_code == 200
    for server in stage.instances["blue"]:
        ready = f"{server.url}/api/health/ready"
        eventually(lambda ready=ready: httpx.get(ready).status_code == 200, 10, "not ready again")
