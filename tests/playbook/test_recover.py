"""For real on the demo: back from a total failure, and a hotfix that is released at once."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest

from mina_ops.demo import programs
from mina_ops.demo.processes import HOST
from mina_ops.demo.stage import APP, Stage, environment_of, standing
from tests.operator.release.stand import QUICK
from tests.playbook.health import await_health
from tests.playbook.lines import REPOSITORY
from tests.support.command import MINA_OPS
from tests.support.postgres import Postgres
from tests.support.wait import eventually

pytestmark = pytest.mark.once

_START = """#!/bin/sh
echo "$1 $2" >> {folder}/starts
[ -e {folder}/may-start ] || exit 0
case $1 in blue) ports="{blue}";; green) ports="{green}";; esac
for port in $ports; do
  file={folder}/$port.pid
  # The whole group, or a worker would hold the port a while longer.
  [ ! -e $file ] || kill -9 -$(cat $file) || kill -9 $(cat $file)
  rm -f $file
  ENVIRONMENT=$1 APP_VERSION=$2 MINA_OPS_INSTANCE=$port MINA_OPS_FLAGS_FILE={folder}/$port.json \
    {gunicorn} '{app}' --worker-class gevent --bind {host}:$port --graceful-timeout 1 \
    --pid $file --log-file {folder}/$port.log &
done
"""
# Quick, patient with servers that start, and judged by nothing that a busy machine spoils.
_RELEASE = (
    QUICK.replace("health_seconds = 20", "health_seconds = 120").replace(
        "ready_seconds = 20", "ready_seconds = 60"
    )
    + "database_ms = 30_000\n"
)


_ROLES = ("CREATE ROLE mina_keeper LOGIN", "CREATE ROLE mina_reader")
_GOODBYE = ("DROP ROLE mina_keeper", "DROP ROLE mina_reader")


@dataclass(frozen=True)
class Site:
    """The demo's stage, and what an operator at it types into a shell."""

    stage: Stage
    environment: dict[str, str]
    production: str
    server: Postgres

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["mina-ops", *arguments],
            cwd=self.stage.folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def type(self, *arguments: str, answers: str = "", code: int = 0) -> str:
        process = self.begin(*arguments)
        said = "".join(process.communicate(answers, timeout=300))
        assert process.returncode == code, said
        return said

    def titles(self) -> list[str]:
        headers = {"Authorization": f"Bearer {self.stage.keys.test_token}"}
        url = f"{self.stage.settings.public_url}/api/sessions"
        answer = httpx.get(url, headers=headers, timeout=30)
        answer.raise_for_status()
        return [session["title"] for session in answer.json()["sessions"]]

    def add(self, title: str) -> None:
        headers = {"Authorization": f"Bearer {self.stage.keys.test_token}"}
        url = f"{self.stage.settings.public_url}/api/sessions"
        answer = httpx.post(url, headers=headers, json={"title": title}, timeout=30)
        answer.raise_for_status()


@pytest.fixture
def site(tmp_path: Path, postgres: Postgres, own_postgres: Postgres) -> Iterator[Site]:
    # The new server is bare: no database of that name is there, and none of the roles.
    production, restore = postgres.new_database(), own_postgres.url("mina_restored")
    with standing(tmp_path / "stage", lambda _: None, {"DATABASE_URL": production}) as stage:
        start = _start_command(stage)
        file = stage.settings.file
        file.write_text(
            file.read_text()
            + _RELEASE
            + f'[release.hooks]\nstart = ["{start} {{to}} {{version}}"]\n'
            + '[database]\nfolder = "backups"\n[incident]\nfolder = "incidents"\n'
            + 'status_folder = "status"\n'
        )
        await_health(*stage.instances["blue"], *stage.instances["green"])
        environment = {
            **os.environ,
            **{key: value for key, value in environment_of(stage).items() if value},
            "PATH": os.pathsep.join([str(MINA_OPS.parent), os.environ["PATH"]]),
            "MINA_OPS_CONFIG": str(file),
            "DATABASE_URL": production.replace("+psycopg", ""),
            "RESTORE_DATABASE_URL": restore.replace("+psycopg", ""),
        }
        yield Site(stage, environment, production.replace("+psycopg", ""), postgres)
        for file in stage.folder.glob("*.pid"):
            with suppress(ProcessLookupError, ValueError):
                os.kill(int(file.read_text()), signal.SIGKILL)


def _start_command(stage: Stage) -> Path:
    """Puts a release on both instances of a colour and leaves them running, as a platform does."""
    ports = {
        colour: " ".join(str(server.port) for server in servers)
        for colour, servers in stage.instances.items()
    }
    script = stage.folder / "start.sh"
    words = {"folder": stage.folder, "gunicorn": programs.gunicorn(), "app": APP, "host": HOST}
    script.write_text(_START.format(**words, **ports))
    script.chmod(0o755)
    return script


def _break_down(site: Site) -> None:
    for servers in site.stage.instances.values():
        for server in servers:
            server.process.kill()
            server.process.wait()
    name = site.production.rpartition("/")[2].partition("?")[0]
    _run(site.server.url(scheme="postgresql"), f"DROP DATABASE {name} WITH (FORCE)", *_GOODBYE)


def _run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.mark.integration
@pytest.mark.timeout(600)
def test_recover_brings_the_demo_back_over_refusals_and_interruptions(site: Site) -> None:
    folder = site.stage.folder
    site.type("release", "start", "v2.5.0")
    site.add("before the backup")
    rights = ("ALTER TABLE sessions OWNER TO mina_keeper", "GRANT SELECT ON users TO mina_reader")
    _run(site.production, *_ROLES, *rights)
    site.type("db", "backup")
    site.add("after the backup")
    assert "is alive" in site.type("recover", "--yes", code=2)
    (folder / "starts").unlink()
    _break_down(site)
    health = f"{site.stage.settings.public_url}/api/health"
    # A worker outlives its killed master by a second.
    eventually(
        lambda: httpx.get(health).status_code == 502,
        20,
        "somebody still serves",
        ignoring=(httpx.TransportError,),
    )

    # The operator confirms two steps and is called away.
    said = site.type("recover", answers="y\ny\nn\n", code=1)
    assert "Stopped before: Restore backup_" in said
    state = folder / "status" / "status.json"
    assert json.loads(state.read_text())["state"] == "outage"

    # The new server has none of the roles; what to type is said, and is typed.
    said = site.type("recover", "--yes", code=1)
    lines = re.findall(r'CREATE ROLE "[^;]+;', said)
    assert lines == ['CREATE ROLE "mina_keeper" LOGIN;', 'CREATE ROLE "mina_reader";'], said
    new_server = site.environment["RESTORE_DATABASE_URL"].replace("mina_restored", "postgres")
    _run(new_server, *lines)

    # The colour does not come up, so Ctrl-C while it waits.
    process = site.begin("recover", "--yes")
    eventually((folder / "starts").exists, 60, "the colour was not started")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode not in (0, None)
    assert "goes on" in site.type("recover", "--yes", "--version", "v9", code=2)

    (folder / "may-start").touch()
    said = site.type("recover", "--yes")

    assert "green serves v2.5.0 again." in said
    assert len(re.findall("done before", said)) >= 4
    owners = "SELECT tableowner FROM pg_tables WHERE tablename = 'sessions'"
    with psycopg.connect(site.environment["RESTORE_DATABASE_URL"]) as connection:
        assert connection.execute(owners).fetchall() == [("mina_keeper",)]
    assert "blue 0 %, green 100 %" in said
    await_health(*site.stage.instances["green"])
    answer = httpx.get(health).json()
    assert (answer["status"], answer["environment"], answer["version"]) == (
        *("healthy", "green", "v2.5.0"),
    )
    titles = site.titles()
    assert "before the backup" in titles
    assert "after the backup" not in titles
    assert json.loads(state.read_text())["state"] == "operational"
    assert "is alive" in site.type("recover", "--yes", code=2), "it is over"


@pytest.mark.integration
@pytest.mark.timeout(600)
def test_hotfix_is_released_by_the_playbooks_line(site: Site) -> None:
    folder = site.stage.folder
    (folder / "may-start").touch()
    for server in site.stage.instances["green"]:
        (folder / f"{server.port}.pid").write_text(str(server.process.pid))
    (folder / "scripts").symlink_to(REPOSITORY / "scripts")
    lines = (
        "git init -q --bare remote.git && git init -q -b main && git add mina-ops.toml",
        "git commit -qm release && git remote add origin $PWD/remote.git",
        "git push -q -u origin main && git checkout -q -b hotfix/security-patch",
        "git commit -q --allow-empty -m patch",
        "git push && ./scripts/emergency_deploy.sh",
    )
    who = {"NAME": "t", "EMAIL": "t@example.com"}
    identity = {f"GIT_{role}_{k}": v for role in ("AUTHOR", "COMMITTER") for k, v in who.items()}
    (folder / "gitconfig").write_text("[push]\nautoSetupRemote = true\n")
    done = subprocess.run(
        ["bash", "-ec", "\n".join(lines)],
        cwd=folder,
        env={**site.environment, **identity, "GIT_CONFIG_GLOBAL": str(folder / "gitconfig")},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer = httpx.get(f"{site.stage.settings.public_url}/api/health").json()
    assert answer["environment"] == "green"
    assert re.fullmatch(r"v[\d.]+-hotfix-[0-9a-f]+", answer["version"])
    _checklists_read_the_real_app(site, answer["version"])


def _checklists_read_the_real_app(site: Site, version: str) -> None:
    site.add("after the release")
    site.type("db", "backup")
    first = _states(site, "postflight", "--within", "1h")
    assert (first["errors"], first["websockets"], first["sentry"]) == ("ok", "open", "open")
    assert first["jobs"] == "failed", "nobody finalized a session"
    day = _states(site, "postflight", "--within", "24h")
    assert (day["flags"], day["old_colour"], day["slow_queries"]) == ("ok", "ok", "skipped")
    before = _states(site, "preflight", version)
    assert {before[name] for name in ("flags", "database", "redis", "backup")} == {"ok"}
    assert before["tag"] == "failed", "a hotfix that nobody tagged"


def _states(site: Site, *arguments: str) -> dict[str, str]:
    said = site.type(*arguments, "--json", code=11)
    items = json.loads(said.splitlines()[0])["items"]
    return {item["name"]: item["state"] for item in items}
