"""The pytest plugin for hosts, used as a host uses it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONFTEST = """
import pytest
from flask import Flask

from mina_ops import MinaOps

pytest_plugins = ["mina_ops.testing"]


@pytest.fixture
def app():
    app = Flask("host")
    ops = MinaOps(app)
    app.add_url_rule("/", "index", view_func=lambda: str(ops.flags.is_enabled("audio_replay")))
    return app
"""
TESTS = """
import threading


def ours():
    return [t for t in threading.enumerate() if t.name.startswith("mina_ops-heartbeat")]


def test_flags_answer_as_the_test_says(app, mina_flags):
    client = app.test_client()
    assert client.get("/").text == "False"
    with mina_flags(audio_replay=True):
        assert client.get("/").text == "True"
    assert client.get("/").text == "False"


def test_the_one_before_was_closed():
    assert ours() == []


def test_the_client_is_an_admin(app, mina_admin):
    assert mina_admin.get("/admin/drain").get_json()["state"] == "serving"
    assert app.test_client().get("/admin/drain").status_code == 401
"""

BESIDE = """
from flask import url_for


def test_the_client_of_pytest_flask_meets_the_same_app(client, mina_flags, mina_admin):
    with mina_flags(audio_replay=True):
        assert client.get(url_for("index")).text == "True"
    assert client.get("/admin/drain").status_code == 401
    assert mina_admin.get("/admin/drain").status_code == 200
"""


def test_a_host_overrides_flags_acts_as_admin_and_leaves_no_thread(tmp_path: Path) -> None:
    (tmp_path / "test_host.py").write_text(TESTS)
    assert "3 passed" in _pytest(tmp_path, "-p", "no:flask")


def test_all_of_it_works_beside_pytest_flask_with_warnings_as_errors(tmp_path: Path) -> None:
    (tmp_path / "test_host.py").write_text(TESTS)
    (tmp_path / "test_beside.py").write_text(BESIDE)
    assert "4 passed" in _pytest(tmp_path, "-p", "flask", "-W", "error")


def _pytest(folder: Path, *options: str) -> str:
    (folder / "conftest.py").write_text(CONFTEST)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *options,
        str(folder),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    return done.stdout + done.stderr
