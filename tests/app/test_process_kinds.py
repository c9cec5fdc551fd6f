"""Processes that serve no request: their flags follow, kills wait for them, drains do not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis
from flask import Flask

from mina_ops import MinaOps
from mina_ops.app.admin.auth import Author
from tests.support.source import PACKAGE
from tests.support.wait import eventually

ANA = Author("ana")
HOST = PACKAGE.parent / "tests" / "support" / "worker_host.py"


@pytest.fixture
def ops(redis_url: str) -> Iterator[MinaOps]:
    """The process that serves, of the same colour."""
    app = Flask(__name__)
    app.config.update(REDIS_URL=redis_url, ENVIRONMENT="blue", MINA_OPS_FLAGS_FILE="")
    made = MinaOps(app)
    assert app.test_client().get("/api/health/live").status_code == 200
    yield made
    made.close()


def environ_of(redis_url: str) -> dict[str, str]:
    own = {"REDIS_URL": redis_url, "ENVIRONMENT": "blue", "PYTHONPATH": str(PACKAGE.parent)}
    return {**os.environ, **own}


class Worker:
    """A script of the host that obeys lines."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)

    def ask(self, line: str) -> str:
        self.say(line)
        return self.hear()


@contextmanager
def worker(redis_url: str) -> Iterator[Worker]:
    pipe = subprocess.PIPE
    command = [sys.executable, str(HOST)]
    with subprocess.Popen(
        command, env=environ_of(redis_url), stdin=pipe, stdout=pipe, text=True
    ) as process:
        try:
            yield Worker(process)
        finally:
            process.kill()


@pytest.mark.parametrize("forks", [False, True])
def test_a_worker_and_a_forked_child_follow_the_flags_and_a_kill_waits_for_them(
    ops: MinaOps, redis_url: str, forks: bool
) -> None:
    with worker(redis_url) as asked:
        assert asked.hear() == "ready"
        if forks:
            asked.say("fork")
        # Changed after the worker's code was imported: its very first question knows of it.
        ops.flags.editor.set("audio", {"enabled": True}, ANA)
        assert asked.ask("ask") == "True"
        eventually(lambda: named(ops) == 2)
        changed = ops.flags.editor.set("audio", {"enabled": False}, ANA).changed
        found = ops.flags.confirmations.wait(changed, 20)
        assert (found.complete, len(found.applied)) == (True, 2)
        assert asked.ask("ask") == "False"
        # It serves nobody, so nobody waits for its sessions.
        assert len(ops.runtime.context.presence.peers().reports) == 1


def named(ops: MinaOps) -> int:
    """How many processes a kill would wait for now."""
    changed = ops.flags.editor.set("other", {"owner": None}, ANA).changed
    found = ops.flags.confirmations.look(changed)
    return len(found.applied) + len(found.waiting_for)


def test_a_kill_names_the_worker_that_does_not_confirm(ops: MinaOps, redis_url: str) -> None:
    ops.flags.editor.set("audio", {"enabled": True}, ANA)
    with worker(redis_url) as asked:
        assert asked.hear() == "ready"
        assert asked.ask("ask") == "True"
        eventually(lambda: named(ops) == 2)
        os.kill(asked._process.pid, 19)
        changed = ops.flags.editor.set("audio", {"enabled": False}, ANA).changed
        found = ops.flags.confirmations.wait(changed, 0.2)
        assert not found.complete
        assert f":{asked._process.pid}:" in found.waiting_for[0]


def test_an_outcome_that_a_worker_tells_is_stored(ops: MinaOps, redis_url: str) -> None:
    with worker(redis_url) as asked:
        assert asked.hear() == "ready"
        assert asked.ask("tell") == "told"
        figures = ops.runtime.metrics.figures
        eventually(lambda: figures.window("blue", 60).amounts.get("o:transcription:ok") == 1)


def test_a_flask_command_leaves_no_trace_but_its_outcomes(ops: MinaOps, redis_url: str) -> None:
    ops.flags.editor.set("audio", {"enabled": True}, ANA)
    command = [sys.executable, "-m", "flask", "--app", "tests.support.worker_host", "ask"]
    done = subprocess.run(
        command, env=environ_of(redis_url), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("True", 0), done.stderr
    with redis.Redis.from_url(redis_url) as client:
        assert list(client.scan_iter("*workers*")) == []
    figures = ops.runtime.metrics.figures
    eventually(lambda: figures.window("blue", 60).amounts.get("o:transcription:ok") == 1)
    assert len(ops.runtime.context.presence.peers().reports) == 1


def test_a_worker_that_begins_to_serve_is_counted_among_those_that_do(redis_url: str) -> None:
    app = Flask(__name__)
    app.config.update(REDIS_URL=redis_url, ENVIRONMENT="blue", MINA_OPS_FLAGS_FILE="")
    ops = MinaOps(app)
    try:
        ops.flags.is_enabled("audio")
        assert ops.runtime.context.presence.peers().reports == {}
        assert app.test_client().get("/api/health/live").status_code == 200
        assert len(ops.runtime.context.presence.peers().reports) == 1
        eventually(lambda: app.test_client().get("/api/health/started").status_code == 200)
    finally:
        ops.close()
