"""Each script of the emergency's half: help, dry run, missing tool, bad argument, success."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mina_ops.operator.database.connection.connect import Database
from tests.operator.database.conftest import mina, mina_template, run
from tests.operator.database.migrations.test_lint import SAFE, write

__all__ = ["mina", "mina_template"]

SCRIPTS = Path(__file__).parents[2] / "scripts"
# script -> (arguments of a dry run, a bad argument, words of its help)
CASES: dict[str, tuple[list[str], list[str]]] = {
    "verify_data_integrity.sh": (["--dry-run"], ["--nothing"]),
    "analyze_data_corruption.sh": (["--dry-run"], ["--nothing"]),
    "analyze_migration_failure.sh": (["--include-timeline", "--dry-run"], ["--nothing"]),
    "emergency_hotline.sh": (["--activate", "--dry-run"], []),
    "update_status_page.sh": (["--dry-run"], ["--state", "nonsense"]),
    "security_incident.sh": (["--severity", "critical", "--dry-run"], ["--severity", "huge"]),
    "rotate_secrets.sh": (["--all", "--dry-run"], ["--only", "nothing"]),
    "audit_access_logs.sh": (["--since", "2 hours ago", "--dry-run"], ["--since", "soon"]),
    "notify_users.sh": (
        ["--template", "service_restored", "--set", "what=x", "--dry-run"],
        ["--template", "nothing"],
    ),
    "notify_rollback.sh": (["over", "--dry-run"], []),
    "emergency_deploy.sh": (["v9.9.9", "--dry-run", "--nothing"], ["--plan"]),
}


@dataclass
class Place:
    """A folder to run scripts in, with an environment of its own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, script: str, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(SCRIPTS / script), *arguments],
            cwd=self.folder,
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    def files(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Settings that reach nobody, a log, people to write to, and a sendmail that files letters."""
    now = datetime.now(UTC)
    (tmp_path / "access.log").write_text(
        f'203.0.113.9 - - [{now:%d/%b/%Y:%H:%M:%S +0000}] "GET / HTTP/1.1" 200 9 "-" "x"\n'
    )
    (tmp_path / "people.csv").write_text("a@b.co,Ana\n")
    (tmp_path / "sendmail").write_text(f"#!/bin/sh\ncat > {tmp_path}/letter.$$\n")
    (tmp_path / "sendmail").chmod(0o755)
    (tmp_path / "secrets.env").write_text("SECRET_KEY=hush\n")
    (tmp_path / "secrets.env").chmod(0o600)
    write(tmp_path / "migrations", SAFE["nullable column"], SAFE["wider text"])
    (tmp_path / "mina-ops.toml").write_text(
        'public.url = "http://127.0.0.1:1"\ntraffic.driver = "command"\n'
        '[colours.blue]\nurl = "http://127.0.0.1:1"\n[colours.green]\nurl = "http://127.0.0.1:2"\n'
        f'[incident]\naccess_logs = ["{tmp_path}/access.log"]\nbridge = "https://meet.example"\n'
        f'send = ["{tmp_path}/sendmail"]\nrecipients = ["cat", "{tmp_path}/people.csv"]\n'
        '[incident.secrets]\nfile = "secrets.env"\nreload = ["true"]\n'
    )
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "MINA_OPS": str(Path(sys.executable).with_name("mina-ops")),
        "DATABASE_URL": f"sqlite:///{tmp_path}/mina.sqlite",
    }
    return Place(tmp_path, environment)


@pytest.mark.parametrize("script", CASES)
def test_help_is_the_header_and_names_usage_and_exit_codes(place: Place, script: str) -> None:
    done = place.run(script, "--help")
    assert done.returncode == 0
    assert f"Usage: {script}" in done.stdout or f"| {script}" in done.stdout
    assert "Exit codes:" in done.stdout
    assert "--dry-run" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("script", [name for name in CASES if name != "emergency_deploy.sh"])
def test_dry_run_changes_nothing(place: Place, script: str) -> None:
    before = place.files()
    done = place.run(script, *CASES[script][0], text="All is well")
    assert done.returncode == 0, done.stderr
    assert "ould " in done.stdout
    assert place.files() == before


@pytest.mark.parametrize("script", CASES)
def test_bad_argument_is_usage_and_changes_nothing(place: Place, script: str) -> None:
    before = place.files()
    done = place.run(script, *CASES[script][1])
    assert done.returncode == 2, done.stderr
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert place.files() == before


@pytest.mark.parametrize("script", CASES)
def test_missing_mina_ops_is_named(place: Place, script: str) -> None:
    place.environment["MINA_OPS"] = "/nowhere/mina-ops"
    if script == "emergency_deploy.sh":
        _repository(place)
    done = place.run(script, *[part for part in CASES[script][0] if part != "--nothing"])
    assert done.returncode == 6
    assert "mina-ops is not installed" in done.stderr


@pytest.mark.parametrize(
    ("script", "arguments", "text", "said"),
    [
        ("emergency_hotline.sh", ["--activate"], "", "The hotline is open"),
        (
            "update_status_page.sh",
            [],
            "Service temporarily unavailable. Estimated restoration: 15 minutes",
            "Estimated restoration: 15 minutes",
        ),
        ("security_incident.sh", ["--severity", "critical"], "", "Evidence: 1 logs"),
        ("audit_access_logs.sh", ["--since", "2 hours ago"], "", "No suspicious pattern"),
        (
            "notify_users.sh",
            ["--template", "security_breach", "--set", "what=a", "--set", "data=b"],
            "",
            "1 letters sent",
        ),
        ("notify_rollback.sh", ["rolled back to v2.4.5"], "", "No channel hears"),
    ],
)
def test_success(place: Place, script: str, arguments: list[str], text: str, said: str) -> None:
    done = place.run(script, *arguments, text=text)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout


@pytest.mark.parametrize(
    ("script", "arguments", "folder"),
    [
        ("emergency_hotline.sh", ["--activate"], "incidents"),
        ("security_incident.sh", ["--severity", "critical"], "incidents"),
        ("update_status_page.sh", [], "status"),
        (
            "notify_users.sh",
            ["--template", "service_restored", "--set", "what=x"],
            "incidents",
        ),
    ],
)
def test_folder_that_cannot_be_made_is_a_sentence(
    place: Place, script: str, arguments: list[str], folder: str
) -> None:
    (place.folder / folder).write_text("a file stands here")
    done = place.run(script, *arguments, text="x")
    assert done.returncode == 1
    assert "cannot be" in done.stderr
    assert "Traceback" not in done.stderr


def test_hotline_that_is_open_calls_nobody_again(place: Place) -> None:
    first = place.run("emergency_hotline.sh", "--activate", "--json")
    again = place.run("emergency_hotline.sh", "--activate", "--json")
    assert json.loads(first.stdout) == json.loads(again.stdout)
    assert "called" in first.stderr
    assert again.stderr == ""
    assert place.run("emergency_hotline.sh", "--deactivate").returncode == 0
    assert place.run("emergency_hotline.sh", "--deactivate").returncode == 1


def test_missing_sendmail_and_psql_are_named(place: Place) -> None:
    (place.folder / "sendmail").unlink()
    done = place.run("notify_users.sh", "--template", "service_restored", "--set", "what=x")
    assert done.returncode == 6
    assert "incident.send" in done.stderr


def test_no_database_is_told_apart_from_a_fault(place: Place) -> None:
    done = place.run("verify_data_integrity.sh")
    assert done.returncode == 3
    place.environment["DATABASE_URL"] = "postgresql://nobody:hush@127.0.0.1:1/none"
    done = place.run("analyze_data_corruption.sh")
    assert done.returncode == 3
    assert "hush" not in done.stderr


@pytest.fixture
def on_postgres(place: Place, mina: Database) -> Place:
    place.environment["DATABASE_URL"] = mina.url.render_as_string(hide_password=False)
    return place


def test_integrity_and_corruption_on_a_clean_and_a_spoilt_database(
    on_postgres: Place, mina: Database
) -> None:
    assert on_postgres.run("verify_data_integrity.sh").returncode == 0
    assert on_postgres.run("analyze_data_corruption.sh").returncode == 0
    run(mina, "SET session_replication_role = replica; UPDATE sessions SET user_id = 999")
    spoilt = on_postgres.run("verify_data_integrity.sh", "--json")
    assert spoilt.returncode == 11
    assert json.loads(spoilt.stdout)["findings"][0]["check"] == "foreign_keys"
    assert on_postgres.run("analyze_data_corruption.sh").returncode == 11


def test_migration_failure_with_its_timeline(on_postgres: Place, mina: Database) -> None:
    run(mina, "UPDATE alembic_version SET version_num = 'r1'")
    done = on_postgres.run("analyze_migration_failure.sh", "--include-timeline")
    assert done.returncode == 0, done.stderr
    assert "is at r1; the code's head is r2" in done.stdout


def _repository(place: Place) -> None:
    """A git checkout, committed and pushed to a remote of its own."""
    place.environment |= {
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@example.com",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@example.com",
        "GIT_CONFIG_GLOBAL": "/dev/null",
    }
    for command in (
        "git init -q --bare remote.git",
        "git init -q -b hotfix",
        "git add mina-ops.toml",
        "git commit -qm patch",
        "git remote add origin remote.git",
        "git push -q -u origin hotfix",
    ):
        subprocess.run(
            command.split(), cwd=place.folder, env=place.environment, check=True, timeout=20
        )


def _stand_in_for_mina_ops(place: Place) -> None:
    """Only the argument vector matters here; releases have tests of their own."""
    script = place.folder / "mina-ops"
    script.write_text('#!/bin/sh\nprintf "%s|" "$@" "$MINA_OPS_CONFIG"\n')
    script.chmod(0o755)
    place.environment["MINA_OPS"] = str(script)


def test_emergency_deploy_releases_what_is_pushed(place: Place) -> None:
    _repository(place)
    _stand_in_for_mina_ops(place)
    done = place.run("emergency_deploy.sh")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("release|start|--|v")
    assert "-hotfix-" in done.stdout
    subprocess.run(
        ["git", "tag", "v2.5.1"], cwd=place.folder, env=place.environment, check=True, timeout=20
    )
    done = place.run("emergency_deploy.sh", "--plan", "mina-ops.toml", "--dry-run")
    assert done.stdout == "release|start|--dry-run|--|v2.5.1|mina-ops.toml|"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("echo x >> mina-ops.toml", "not committed"),
        ("echo x >> mina-ops.toml && git commit -qam more", "1 commits are not pushed"),
        ("git checkout -q -b other", "never pushed"),
    ],
)
def test_emergency_deploy_refuses_what_is_not_pushed(place: Place, spoil: str, said: str) -> None:
    _repository(place)
    _stand_in_for_mina_ops(place)
    subprocess.run(
        ["sh", "-c", spoil], cwd=place.folder, env=place.environment, check=True, timeout=20
    )
    done = place.run("emergency_deploy.sh")
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stdout == ""


def test_emergency_deploy_outside_of_git_is_refused(place: Place) -> None:
    done = place.run("emergency_deploy.sh", "v1")
    assert done.returncode == 1
    assert "no git checkout" in done.stderr
