"""The checklists before and after a release say what holds, what does not, and what is left."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mina_ops.cli import main
from mina_ops.operator.checklist import postflight
from mina_ops.operator.database.backup import backup
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.release.journal import Journal
from mina_ops.operator.release.model import Phase
from tests.operator.database.conftest import mina, mina_template, run
from tests.operator.database.migrations.test_lint import SAFE, UNSAFE, write

__all__ = ["mina", "mina_template"]

VERSION = "v2.5.0"


class Colour(ThreadingHTTPServer):
    """A colour that answers what the test says over real HTTP, and names itself as an app does."""

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name = name
        self.answers: dict[str, Any] = {}
        self.answer("/api/health", status="healthy", version=VERSION, checks={})
        self.answer("/api/health/ready", status="ready")

    def answer(self, path: str, **body: Any) -> None:
        self.answers[path] = body

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Colour

    def do_GET(self) -> None:
        body = self.server.answers.get(self.path.partition("?")[0])
        self.send_response(404 if body is None else 200)
        self.send_header("X-Mina-Environment", self.server.name)
        self.end_headers()
        self.wfile.write(json.dumps(body or {}).encode())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running(name: str) -> Iterator[Colour]:
    with Colour(name) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def colours() -> Iterator[tuple[Colour, Colour]]:
    with ExitStack() as stack:
        yield stack.enter_context(running("blue")), stack.enter_context(running("green"))


@pytest.fixture
def ready(
    tmp_path: Path,
    mina: Database,
    redis_url: str,
    colours: tuple[Colour, Colour],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A checkout in which everything is ready for v2.5.0."""
    blue, green = colours
    write(tmp_path / "migrations", "pass", SAFE["wider text"], SAFE["nullable column"])
    (tmp_path / "changelog.md").write_text("## 2.5.0\n\nAudio replay.\n")
    balancer = _balancer(tmp_path)
    (tmp_path / "mina-ops.toml").write_text(
        f'public.url = "{blue.url}"\ntraffic.driver = "command"\n'
        f'[traffic.command]\napply = ["{balancer}", "apply"]\nread = ["{balancer}", "read"]\n'
        f'[colours.blue]\nurl = "{blue.url}"\n[colours.green]\nurl = "{green.url}"\n'
        '[database]\nfolder = "backups"\nmigrations = "migrations"\n'
        '[preflight]\nnotes = "changelog.md"\nci = ["true", "{version}"]\n'
        f'staging_url = "{green.url}"\nflags = ["enable_audio_replay"]\n'
    )
    for colour in colours:
        colour.answer(
            "/admin/flags",
            flags=[{"key": "enable_audio_replay", "enabled": False, "release": VERSION}],
        )
    monkeypatch.chdir(tmp_path)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "t")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "t@example.com")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    for command in (
        "git init -q --bare remote.git",
        "git init -q -b main",
        "git add changelog.md",
        "git commit -qm release",
        "git remote add origin remote.git",
        f"git tag -a {VERSION} -m release",
        f"git push -q origin main {VERSION}",
    ):
        subprocess.run(command.split(), check=True, timeout=20)
    monkeypatch.setenv("DATABASE_URL", mina.url.render_as_string(hide_password=False))
    monkeypatch.setenv("REDIS_URL", redis_url)
    backup.make(mina, tmp_path / "backups" / "backup_1.sql")
    return tmp_path


def _balancer(folder: Path) -> Path:
    """A platform's own command: keeps the split that it is given, and prints it again."""
    split, command = folder / "split.json", folder / "balancer.sh"
    split.write_text('{"percent": {"blue": 100, "green": 0}}')
    command.write_text(
        f'#!/bin/sh\nif [ "$1" = apply ]; then cat > {split}; else cat {split}; fi\n'
    )
    command.chmod(0o755)
    return command


def preflight(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["preflight", VERSION, *arguments])


def states(done: Result) -> dict[str, str]:
    return {item["name"]: item["state"] for item in json.loads(done.stdout)["items"]}


def test_everything_ready_but_the_people(ready: Path) -> None:
    done = preflight("--json")
    assert done.exit_code == 11
    found = states(done)
    assert found.pop("stakeholders") == "open"
    assert set(found.values()) == {"ok"}, done.stdout

    told = preflight("--done", "stakeholders")
    assert told.exit_code == 0, told.output
    assert "[x] Stakeholders notified of the deployment window: done " in told.stdout
    assert preflight().exit_code == 0, "a tick stays"


def _other_commit(folder: Path) -> None:
    (folder / "changelog.md").write_text("2.5.0 and more")
    subprocess.run(["git", "commit", "-qam", "more"], check=True, timeout=20)


def _old_backup(folder: Path) -> None:
    file = folder / "backups" / "backup_1.sql.manifest.json"
    raw = json.loads(file.read_text())
    raw["created_at"] = (datetime.now(UTC) - timedelta(hours=30)).isoformat()
    file.write_text(json.dumps(raw))


def _backup_of_another(folder: Path) -> None:
    file = folder / "backups" / "backup_1.sql.manifest.json"
    raw = json.loads(file.read_text())
    raw["source"] = "postgresql|staging|5432|mina"
    file.write_text(json.dumps(raw))


def _toml(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "mina-ops.toml"
        file.write_text(file.read_text().replace(old, new))

    return change


@pytest.mark.parametrize(
    ("name", "spoil", "reason"),
    [
        ("tag", lambda _: subprocess.run(["git", "tag", "-d", VERSION], check=True), "no tag"),
        ("tag", _other_commit, "on another commit"),
        ("tag", lambda f: (f / "changelog.md").write_text("2.5.0!"), "not committed"),
        (
            "tag",
            lambda _: subprocess.run(
                ["git", "push", "-q", "origin", f":refs/tags/{VERSION}"], check=True
            ),
            "not pushed",
        ),
        ("ci", _toml('"true"', '"false"'), "exit code 1"),
        (
            "migrations",
            lambda f: write(
                f / "migrations", "pass", SAFE["wider text"], UNSAFE["table dropped"][0]
            ),
            "segments is dropped",
        ),
        ("notes", lambda f: (f / "changelog.md").unlink(), "there is no"),
        (
            "notes",
            lambda f: (f / "changelog.md").write_text("## 12.5.0\n## v2.5.01\n## 2.5.0-rc.1\n"),
            "does not name v2.5.0",
        ),
        ("backup", _old_backup, "30 h old"),
        ("backup", lambda f: (f / "backups/backup_1.sql").unlink(), "no proven backup"),
        ("backup", _backup_of_another, "no proven backup of test_"),
    ],
)
def test_what_is_not_ready_is_named(
    ready: Path, name: str, spoil: Callable[[Path], object], reason: str
) -> None:
    spoil(ready)
    done = preflight("--json")
    assert done.exit_code == 11
    assert states(done)[name] == "failed"
    assert reason in done.stdout


def test_servers_that_are_away_or_unfit_are_named(
    ready: Path, colours: tuple[Colour, Colour], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("DATABASE_URL", "postgresql://mina:hush@127.0.0.1:1/mina")
    blue, green = colours
    green.answer("/api/health", status="healthy", version="v2.4.5", checks={})
    blue.answer("/admin/flags", flags=[{"key": "enable_audio_replay", "enabled": True}])
    done = preflight("--json")
    found = states(done)
    for name in ("redis", "database", "migrations", "staging", "flags"):
        assert found[name] == "failed", name
    assert "staging runs v2.4.5" in done.stdout
    assert "on already: enable_audio_replay" in done.stdout
    assert "hush" not in done.output


def test_unknown_item_cannot_be_ticked(ready: Path) -> None:
    done = preflight("--done", "everything")
    assert done.exit_code == 2
    assert "There is no item everything" in done.stderr


@pytest.fixture
def released(ready: Path, colours: tuple[Colour, Colour]) -> Path:
    """v2.5.0 was released to green an hour ago; green answers as it did before."""
    begun = (datetime.now(UTC) - timedelta(hours=1)).timestamp()
    journal = Journal.create(ready / "releases", VERSION, now=begun)
    journal.write("note", Phase.CHECKS, version=VERSION, **{"from": "blue", "to": "green"})
    journal.write("note", Phase.CHECKS, baseline={"histogram": [[100, 90], [200, 10]]})
    journal.write("begin", Phase.DONE)
    journal.write("end", Phase.DONE)
    green = colours[1]
    green.answer("/api/metrics/errors", requests=100_000, errors=20)
    green.answer("/api/metrics/performance", p95_ms=245.0)
    green.answer("/api/metrics/websockets", connection_success_rate=99.95, attempts=500)
    for name in ("ai_insights", "transcription"):
        green.answer(f"/api/metrics/outcomes/{name}", samples=40)
    return ready


def after(within: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["postflight", "--within", within, "--json", *arguments])


def test_first_hour_after_a_good_release(released: Path) -> None:
    done = after("1h")
    found = states(done)
    assert found == {
        "errors": "ok",
        "jobs": "ok",
        "websockets": "ok",
        "sentry": "open",
        "performance": "ok",
    }, done.stdout
    assert "P95 245 ms, before 200 ms" in done.stdout
    assert after("1h", "--done", "sentry").exit_code == 0


def test_first_hour_after_a_bad_release(released: Path, colours: tuple[Colour, Colour]) -> None:
    green = colours[1]
    green.answer("/api/metrics/errors", requests=1000, errors=20)
    green.answer("/api/metrics/performance", p95_ms=400.0)
    green.answer("/api/metrics/websockets", connection_success_rate=90.0, attempts=50)
    green.answer("/api/metrics/outcomes/transcription", samples=0)
    done = after("1h")
    assert done.exit_code == 11
    found = states(done)
    assert [found[name] for name in ("errors", "jobs", "websockets", "performance")] == [
        "failed"
    ] * 4
    assert "2 % of 1000 requests" in done.stdout
    assert "silent for an hour: transcription 0" in done.stdout


def test_a_p95_that_grew_by_less_than_is_noticed_is_no_slower(
    released: Path, colours: tuple[Colour, Colour]
) -> None:
    colours[1].answer("/api/metrics/performance", p95_ms=400.0)
    with (released / "mina-ops.toml").open("a") as settings:
        settings.write("[postflight]\np95_increase_ms = 250\n")
    assert states(after("1h"))["performance"] == "ok"


def test_day_lists_flags_that_are_half_open(released: Path, colours: tuple[Colour, Colour]) -> None:
    colours[0].answer(
        "/admin/flags", flags=[{"key": "a", "enabled": True, "rollout_percent": 25.0}]
    )
    done = after("24h")
    found = states(done)
    assert found["flags"] == "open"
    assert "a at 25 %" in done.stdout
    assert found["slow_queries"] == "skipped"
    assert found["old_colour"] == "ok"
    assert "blue is kept until" in done.stdout


def test_week_says_that_the_old_colour_is_due(
    ready: Path, released: Path, colours: tuple[Colour, Colour]
) -> None:
    journal = next((ready / "releases").glob("*/journal.jsonl"))
    lines = [json.loads(text) for text in journal.read_text().splitlines()]
    past = (datetime.now(UTC) - timedelta(days=8)).timestamp()
    journal.write_text("".join(json.dumps({**line, "at": past}) + "\n" for line in lines))
    done = after("1w")
    assert states(done)["old_colour"] == "open"
    assert "blue still runs" in done.stdout
    assert states(done)["retrospective"] == "open"


def test_statistics_that_are_not_kept_are_named(released: Path, mina: Database) -> None:
    run(mina, "CREATE EXTENSION pg_stat_statements")
    done = after("24h")
    item = next(i for i in json.loads(done.stdout)["items"] if i["name"] == "slow_queries")
    assert item["state"] == "skipped"
    assert "shared_preload_libraries" in item["reason"]


def test_without_a_release_there_is_nothing_after_it(ready: Path) -> None:
    done = after("1h")
    assert done.exit_code == 2
    assert "No release was done yet" in done.stderr


def test_p95_of_a_histogram() -> None:
    assert postflight.p95([]) is None
    assert postflight.p95([(10, 94), (20, 1), (30, 5)]) == 20
    assert postflight.p95([(10, 1)]) == 10


class TestRecover:
    """Both colours down: back from the newest proven backup, step by step."""

    @pytest.fixture
    def down(
        self,
        released: Path,
        colours: tuple[Colour, Colour],
        postgres: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> Path:
        """Both colours answer nothing; the start command brings green back."""
        for colour in colours:
            colour.answers = {}
        monkeypatch.setenv("RESTORE_DATABASE_URL", postgres.new_database())
        start = released / "start.py"
        start.write_text(
            "import os, sys, pathlib\n"
            f"pathlib.Path({str(released)!r}, 'started').write_text("
            "' '.join(sys.argv[1:]) + ' ' + os.environ['DATABASE_URL'])\n"
        )
        file = released / "mina-ops.toml"
        file.write_text(
            file.read_text()
            + f'[release.hooks]\nstart = ["{sys.executable} {start} {{to}} {{version}}"]\n'
        )
        return released

    def _recover(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["recover", "--yes", "--timeout", "3", *arguments])

    def test_healthy_colour_is_not_recovered_over(self, released: Path) -> None:
        done = self._recover()
        assert done.exit_code == 2
        assert "blue and green is alive" in done.stderr

    def test_steps_go_on_where_an_interrupted_run_ended(
        self, down: Path, colours: tuple[Colour, Colour]
    ) -> None:
        dry = self._recover("--dry-run", "--json")
        assert len(json.loads(dry.stdout)["steps"]) == 8
        first = self._recover()
        assert first.exit_code == 1
        assert "green is not ready" in first.stderr
        assert "every row" in first.stderr
        assert "green v2.5.0 postgresql" in (down / "started").read_text()
        assert json.loads((down / "status/status.json").read_text())["state"] == "outage"
        green = colours[1]
        green.answer("/api/health", status="healthy", version=VERSION, checks={})
        green.answer("/api/health/ready", status="ready")
        (down / "started").unlink()

        second = self._recover()

        assert second.exit_code == 0, second.output
        assert second.stdout == "green serves v2.5.0 again.\n"
        assert second.stderr.count("done before") == 5
        assert not (down / "started").exists(), "what was done is not done again"
        assert json.loads((down / "split.json").read_text())["percent"] == {"blue": 0, "green": 100}
        assert json.loads((down / "status/status.json").read_text())["state"] == "operational"

    def test_damaged_backup_is_refused_before_anything_happens(self, down: Path) -> None:
        file = down / "backups" / "backup_1.sql"
        file.write_bytes(file.read_bytes()[:-10])
        done = self._recover()
        assert done.exit_code != 0
        assert not (down / "incidents").exists()
