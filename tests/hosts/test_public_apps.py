"""Public Flask apps, each in an environment of its own: pages as bare, our endpoints answer.

By name, outside CI: `pytest tests/hosts/test_public_apps.py --long`. Environments are made where
PUBLIC_APPS says, default: a folder in the user's cache; that takes minutes the first time.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from mina_ops.demo.processes import HOST, Server, on_free_port, start
from tests.hosts.promises import PROMISES, of_server
from tests.support.hosts import REPOSITORY

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
PAGES = {
    "changedetection.io": ("/", "/settings", "/imports", "/static/js/plugins.js", "/nowhere"),
    "mlflow": ("/", "/health", "/version", "/ajax-api/2.0/mlflow/experiments/search", "/nowhere"),
    "locust": ("/", "/stats/requests", "/exceptions", "/tasks", "/nowhere"),
}
# Nonces, tokens, ids and times differ between two runs of the bare app, too.
_CHANGING = re.compile(rb"nonce-[\w-]+|[0-9a-f]{16,}|\d+")
_TAG = re.compile(rb"</?[a-z][a-z0-9-]*")
_SHOWN = ("content-type", "location", "content-security-policy", "cache-control", "vary")
Serve = Callable[..., Server]


def _environment(name: str) -> Path:
    """The Python of an environment with the app and mina_ops, made if it is not there."""
    named = os.environ.get("PUBLIC_APPS")
    folder = Path(named) if named else Path.home() / ".cache" / "mina-ops-public-apps"
    python = folder / name / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder / name], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", name], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "-e", REPOSITORY], check=True)
    return python


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts an app, bare or with our line."""
    with ExitStack() as running:

        def serve_one(name: str, python: Path, *flags: str) -> Server:
            def start_on(port: int) -> Server:
                program = REPOSITORY / "tests" / "hosts" / "public.py"
                argv: list[str | Path] = [python, program, name, str(port), *flags]
                return start(
                    "-".join([name, *flags]),
                    argv,
                    tmp_path,
                    port=port,
                    environment={"HOME": str(tmp_path)},
                    ready=_answers,
                    ready_seconds=120,
                )

            return running.enter_context(on_free_port(start_on))

        yield serve_one


def _answers(server: Server) -> bool:
    try:
        httpx.get(f"http://{HOST}:{server.port}/", timeout=10)
    except httpx.HTTPError:
        return False
    return True


@pytest.mark.parametrize("name", PAGES)
def test_a_public_app_is_as_bare_and_every_promise_holds(name: str, serve: Serve) -> None:
    python = _environment(name)
    bare, ours = serve(name, python, "--bare"), serve(name, python)
    for path in PAGES[name]:
        expected, found = (httpx.get(f"{one.url}{path}", timeout=60) for one in (bare, ours))
        assert found.status_code == expected.status_code, path
        assert _shown(found, ours) == _shown(expected, bare), path
        assert _text(found, ours) == _text(expected, bare), path
    for promise in PROMISES:
        promise(of_server(ours.url))


def _shown(answer: httpx.Response, server: Server) -> dict[str, bytes]:
    names = (name for name in _SHOWN if name in answer.headers)
    return {name: _plain(answer.headers[name].encode(), server) for name in names}


def _text(answer: httpx.Response, server: Server) -> object:
    """What must be the same: all of it, or of a page its tags."""
    if "html" in answer.headers.get("content-type", ""):
        return _TAG.findall(answer.content)
    return _plain(answer.content, server)


def _plain(text: bytes, server: Server) -> bytes:
    return _CHANGING.sub(b"*", text.replace(str(server.port).encode(), b"PORT"))
