"""What a test needs from the machine: without it a laptop skips, CI fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import NoReturn, TypeVar

import pytest

from mina_ops.errors import ToolMissing

T = TypeVar("T")


def missing(what: str) -> NoReturn:
    """Skip the running test on a laptop; fail it where CI=true, which must have everything."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have what tests need: {what}", pytrace=False)
    pytest.skip(what)


def need_module(name: str, advice: str) -> ModuleType:
    """The module; without it a laptop skips the whole file, and CI fails to collect it."""
    if os.environ.get("CI") == "true":
        return import_module(name)
    found: ModuleType = pytest.importorskip(name, reason=advice)
    return found


def need(find: Callable[[], T]) -> T:
    """What `find` finds; a `ToolMissing` skips or fails the test, see `missing`."""
    try:
        return find()
    except ToolMissing as error:
        missing(str(error))


def need_worker(worker: str) -> None:
    """Skip unless this environment can run `worker`.

    eventlet and gevent-websocket run with Mina's pins only; there they must.
    """
    if worker not in available_workers():
        what = f"{worker} does not run in {Path(sys.prefix).name}"
        if (
            worker not in ("eventlet", "gevent-websocket")
            or Path(sys.prefix).name == ".venv-compat"
        ):
            missing(what)
        pytest.skip(what)


def available_workers() -> list[str]:
    """The ways to run a host that this environment has: gunicorn's classes and socketio.run."""
    found = ["sync", "gthread", "socketio.run"]
    if find_spec("gevent"):
        found.append("gevent")
    if find_spec("geventwebsocket"):
        found.append("gevent-websocket")
    if find_spec("eventlet") and int(version("gunicorn").split(".")[0]) < 26:
        found.append("eventlet")
    return found
