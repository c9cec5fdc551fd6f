"""The private names of python-socketio that we use are where we think, in old and new releases."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import engineio
import engineio.socket
import pytest
import socketio
from flask import Flask
from flask_socketio import SocketIO

from mina_ops import MinaOps
from mina_ops.app import socketio_adapter
from tests.support.oldest import oldest_python
from tests.support.source import PACKAGE, modules

REPOSITORY = PACKAGE.parent
CONTRACT = REPOSITORY / "tests" / "support" / "socketio_contract.py"


def _contract(python: Path | str) -> dict[str, Any]:
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [str(python), str(CONTRACT)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_name_is_there_in_the_releases_installed_here() -> None:
    assert _contract(sys.executable)["problems"] == {}


def test_every_name_is_there_in_minas_pins() -> None:
    python = REPOSITORY / ".venv-compat" / "bin" / "python"
    if not python.exists():
        pytest.skip("There is no .venv-compat; make setup-compat makes it.")
    assert _contract(python)["problems"] == {}


@pytest.mark.long
def test_every_name_is_there_in_the_oldest_releases_that_we_support() -> None:
    found = _contract(oldest_python())
    assert found["versions"]["python-engineio"] == "4.7.0"
    assert found["problems"] == {}


def test_a_release_without_a_name_is_told_and_the_host_starts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(socketio.Server, "_trigger_event")
    app = Flask(__name__)
    ops = MinaOps(app, socketio=SocketIO(app, async_mode="threading"))
    try:
        assert "socketio.Server._trigger_event" in caplog.text
        assert ops.connections.count().total == 0
    finally:
        ops.runtime.close()


def test_no_other_file_names_a_private_attribute_of_these_libraries() -> None:
    classes = (socketio.Server, socketio.Client, socketio.Manager, socketio.PubSubManager)
    classes += (engineio.Server, engineio.Client, engineio.socket.Socket)
    # By name: the default mode of a server imports eventlet where that is installed.
    made = [cls(async_mode="threading") for cls in (socketio.Server, engineio.Server)]
    made += [socketio.Client(), engineio.Client()]
    private = {name for thing in (*classes, *made) for name in dir(thing)}
    private = {name for name in private if name.startswith("_") and not name.startswith("__")}
    assert "_handle_event" in private
    adapter = Path(socketio_adapter.__file__)
    named = {
        module.name: sorted(_names_of_others(module.tree) & private)
        for module in modules()
        if module.path != adapter
    }
    assert {name: found for name, found in named.items() if found} == {}


def _names_of_others(tree: ast.Module) -> set[str]:
    """Attributes of anything but `self`, and those that `getattr` and its like name as text."""
    attributes = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    }
    by_text = ("getattr", "setattr", "hasattr", "delattr", "attrgetter", "methodcaller")
    texts = {
        argument.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(by_text)
        for argument in node.args
        if isinstance(argument, ast.Constant)
    }
    return attributes | {text for text in texts if isinstance(text, str)}
