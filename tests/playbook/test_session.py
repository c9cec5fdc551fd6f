"""The playbook, typed line by line into one shell, against the demo on PostgreSQL."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from mina_ops.demo import programs
from mina_ops.demo.processes import HOST, Server, on_free_port
from mina_ops.demo.servers import nginx_configuration, start_nginx
from mina_ops.demo.stage import Stage, environment_of, standing
from tests.playbook.health import await_health
from tests.playbook.lines import REPOSITORY, SESSION, Line, Rule, load, rule_of
from tests.support.postgres import Postgres

ENDED = "@@ended"
# A command that runs until Ctrl-C, which it gets once it has shown something.
_UNTIL_SEEN = """rm -f watched; bash -c {line} > watched &
for _ in {{1..600}}; do grep -qs '{{' watched && break; sleep 0.1; done
kill -INT $!; wait $!; code=$?; cat watched; (exit $code)"""
_APP = """
from flask_migrate import Migrate
from mina_ops.demo.app import create_app
from mina_ops.demo.models import db
app = create_app()
Migrate(app, db, directory="migrations")
"""


@dataclass(frozen=True)
class Desk:
    """Where the operator sits: a checkout, programs on PATH, and variables."""

    folder: Path
    environment: dict[str, str]

    def type(self, lines: Sequence[str]) -> list[tuple[int, str]]:
        """The exit code and the output of each line, typed one after the other into one shell."""
        script = ["exec 2>&1"]
        for line in lines:
            if line.startswith("watch"):
                line = _UNTIL_SEEN.format(line=shlex.quote(line))
            script += [line, f'printf "\\n{ENDED} %s\\n" "$?"']
        done = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=800,
            check=False,
        )
        parts = re.split(rf"\n{ENDED} (\d+)\n", done.stdout)
        return [(int(code), said) for said, code in zip(parts[::2], parts[1::2], strict=False)]


@pytest.fixture
def desk(tmp_path: Path, postgres: Postgres) -> Iterator[Desk]:
    """Blue and green of the demo on PostgreSQL, under the playbook's names, over TLS."""
    production, staging, restore = (postgres.new_database() for _ in range(3))
    with ExitStack() as running:
        stage = running.enter_context(
            standing(tmp_path / "stage", lambda _: None, {"DATABASE_URL": production})
        )
        await_health(*stage.instances["blue"], *stage.instances["green"])
        front = running.enter_context(_front(tmp_path / "front", stage))
        folder = _checkout(tmp_path / "mina")
        urls = [url.replace("+psycopg", "") for url in (production, staging, restore)]
        _session_of_the_playbook(urls[0])
        _complete_settings(stage, folder)
        environment = {
            **{key: value for key, value in environment_of(stage).items() if value},
            **_haproxy(tmp_path),
            "PLATFORM_LOG": str(stage.instances["green"][0].log),
            "HOME": str(folder),
            "CURL_HOME": str(_curl(tmp_path / "curl", front)),
            "TERM": "xterm",
            "PATH": os.pathsep.join(
                [
                    str(_nginx(tmp_path / "bin", stage)),
                    str(REPOSITORY / "tests" / "playbook" / "platforms"),
                    str(REPOSITORY / "scripts" / "bin"),
                    str(Path(sys.executable).parent),
                    os.environ["PATH"],
                    "/usr/sbin",
                ]
            ),
            "MINA_OPS_CONFIG": str(stage.settings.file),
            "MINA_OPS_PATIENCE": os.environ["MINA_OPS_PATIENCE"],
            "BLUE": " ".join(server.url for server in stage.instances["blue"]),
            "FLASK_APP": "app.py",
            "PRODUCTION_DATABASE_URL": urls[0],
            "STAGING_DATABASE_URL": urls[1],
            "RESTORE_DATABASE_URL": urls[2],
            "DATABASE_URL": urls[0],
            "ADMIN_USER": "admin",
            "ADMIN_PASS": stage.keys.passwords["admin"],
            "ADMIN_TOKEN": stage.keys.admin_token,
            "MINA_OPS_FLAGS_FILE": str(folder / "flags.json"),
            "GIT_CONFIG_GLOBAL": str(folder / ".gitconfig"),
        }
        yield Desk(folder, environment)


def _front(folder: Path, stage: Stage) -> Server:
    """An nginx that answers for the playbook's host names."""
    folder.mkdir()
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mina"),
            *("-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-days", "2"),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    hosts = {
        "mina-blue.replit.app": stage.instances["blue"][0].url,
        "mina-green.replit.app": stage.instances["green"][0].url,
        "mina-staging.replit.app": stage.instances["green"][0].url,
        "mina.production.com": stage.settings.public_url,
    }

    def start_on(port: int) -> Server:
        sites = "".join(
            f"server {{ listen {HOST}:{port} ssl; server_name {name};\n"
            f"ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;\n"
            f"location / {{ proxy_pass {url}; proxy_set_header Host $host; }} }}\n"
            for name, url in hosts.items()
        )
        (folder / "nginx.conf").write_text(nginx_configuration(folder, sites, workers=1))
        return start_nginx(folder, folder / "nginx.conf", port=port)

    return on_free_port(start_on)


def _curl(folder: Path, front: Server) -> Path:
    folder.mkdir()
    # Every host of the playbook is the nginx above, whose certificate nobody signed.
    (folder / ".curlrc").write_text(f'connect-to = "::{HOST}:{front.port}"\ninsecure\nsilent\n')
    return folder


def _haproxy(folder: Path) -> dict[str, str]:
    """What `platforms/haproxy` needs; a configuration that is valid."""
    file = folder / "haproxy.cfg"
    file.write_text(
        "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n"
        f"frontend f\n bind {HOST}:65533\n default_backend b\nbackend b\n"
    )
    return {
        "HAPROXY_FILE": str(file),
        "HAPROXY_PROGRAM": str(programs.installed("haproxy", "Install Debian's haproxy.")),
    }


def _nginx(folder: Path, stage: Stage) -> Path:
    """A folder with an `nginx` that knows where the stage's configuration is."""
    folder.mkdir()
    own = stage.folder / "nginx"
    program = folder / "nginx"
    program.write_text(
        f'#!/bin/sh\nexec {programs.nginx()} -p {own} -e stderr -c {own}/nginx.conf "$@"\n'
    )
    program.chmod(0o755)
    return folder


def _checkout(folder: Path) -> Path:
    """The host's own checkout: its app, its migrations, our scripts, a remote."""
    folder.mkdir()
    shutil.copytree(
        REPOSITORY / "mina_ops" / "demo" / "migrations",
        folder / "migrations",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for name in ("scripts", "deployment", "docs"):
        (folder / name).symlink_to(REPOSITORY / name)
    (folder / "app.py").write_text(_APP)
    (folder / ".gitconfig").write_text(
        "[user]\nname = t\nemail = t@example.com\n[push]\nautoSetupRemote = true\n"
    )
    for command in (
        "git init -q --bare remote.git",
        "git init -q -b main",
        "git add app.py",
        "git commit -qm release",
        "git remote add origin remote.git",
        "git push -q -u origin main",
    ):
        subprocess.run(
            command.split(),
            cwd=folder,
            env={**os.environ, "HOME": str(folder), "GIT_CONFIG_GLOBAL": f"{folder}/.gitconfig"},
            check=True,
            timeout=30,
        )
    return folder


def _session_of_the_playbook(url: str) -> None:
    """The session 12345 that the playbook's curl lines name, and the role that it grants to."""
    with psycopg.connect(url, autocommit=True) as connection:
        user = connection.execute("SELECT id FROM users WHERE username = 'smoke'").fetchone()
        assert user is not None
        connection.execute(
            "INSERT INTO sessions (id, user_id, title, status, created_at) "
            "VALUES (12345, %s, 'Smoke', 'active', now())",
            user,
        )
        connection.execute("SELECT setval(pg_get_serial_sequence('sessions', 'id'), 12345)")
        connection.execute(
            "DO $$ BEGIN CREATE ROLE app_user; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )


def _complete_settings(stage: Stage, folder: Path) -> None:
    log = folder / "access.log"
    log.write_text('10.0.0.1 - - [25/Oct/2025:10:00:00 +0000] "GET / HTTP/1.1" 200 9 "-" "x"\n')
    people = json.dumps([sys.executable, "-c", "print('a@b.co,Ana')"])
    with stage.settings.file.open("a") as file:
        file.write(
            f'\n[database]\nfolder = "{folder}/backups"\nmigrations = "{folder}/migrations"\n'
            f'[incident]\nfolder = "{folder}/incidents"\nstatus_folder = "{folder}/status"\n'
            f'access_logs = ["{log}"]\nsend = ["true"]\nrecipients = {people}\n'
            '[incident.words]\nwhat = "A key leaked."\ndata = "Names."\n'
        )


def _typed() -> list[tuple[Line, str]]:
    """The lines with what the test has to do before them, as one who reads the playbook would."""
    before = {
        # Both are the files of the playbook's example dates, which nobody has.
        "pg_restore --clean --if-exists backup_20251025_095500.sql": (
            "rm -f backup_2*.sql; mina-ops db backup --output $PWD/backup_20251025_095500.sql"
        ),
        "pg_restore --table sessions backup_20251025_095000.sql": (
            "cp -p backup_20251025_095500.sql backup_20251025_095000.sql; "
            "cp backup_20251025_095500.sql.manifest.json "
            "backup_20251025_095000.sql.manifest.json"
        ),
        # A colour that was drained must serve again before it gets traffic.
        "./scripts/switch_traffic.sh blue green --canary 10": (
            "./scripts/admin_drain.sh mina-blue --cancel; for url in $BLUE; do"
            " until curl -q -sf $url/api/health/ready; do sleep 0.2; done; done"
        ),
        # Blue says itself for which revision it was written; the fix that was just made suits it.
        "replit deployments create --version v2.5.1-hotfix": (
            "mina-ops db verdict | grep -E 'NOTHING: both colours run|ROLL BACK TRAFFIC: blue runs'"
        ),
    }
    return [(line, before.get(line.command, "")) for line in load()]


# What shows that a line did its work, where neither its output nor its exit code does.
_AFTER = {
    "flask db downgrade -1": "! flask db current 2>&1 | grep 'head'",
    "./scripts/admin_drain.sh mina-blue": (
        "curl -s https://mina-blue.replit.app/api/health/ready | grep -E 'draining|drained'"
    ),
    'psql $DATABASE_URL -c "GRANT ALL ON TABLE sessions TO app_user;"': (
        "psql $DATABASE_URL -Atc \"SELECT has_table_privilege('app_user', 'sessions', 'INSERT')\""
        " | grep t"
    ),
    "pg_restore --clean backup_latest.sql": (
        'psql $RESTORE_DATABASE_URL -Atc "SELECT title FROM sessions" | grep .'
    ),
}


@pytest.mark.integration
@pytest.mark.timeout(900)
def test_the_playbook_runs_as_it_is_typed(desk: Desk) -> None:
    wanted: list[Rule | None] = []
    commands: list[str] = []
    for line, first in _typed():
        rule = rule_of(line.command)
        assert rule is not None, line.command
        if rule.test == SESSION:
            if first:
                commands.append(first)
                wanted.append(None)
            commands.append(line.command)
            wanted.append(rule)
            if line.command in _AFTER:
                commands.append(_AFTER[line.command])
                wanted.append(None)

    results = desk.type(commands)

    assert len(results) == len(commands), results[-1:]
    wrong = [
        f"{command}\n  ended with {code} and said:\n{said.strip()[-800:]}"
        for command, rule, (code, said) in zip(commands, wanted, results, strict=True)
        if (rule is None and code != 0)
        or (rule is not None and (code not in rule.codes or not re.search(rule.said, said, re.M)))
    ]
    assert not wrong, "\n\n".join(wrong)
