"""What a host of the zoo is: a file in `zoo/` with `build` and `PAGES`. Adding one is one file."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Any, Protocol

from flask import Flask

from mina_ops import MinaOps

TOKEN = "the-token-of-the-zoo"
NAMES = sorted(path.stem for path in (Path(__file__).parent / "zoo").glob("[a-z]*.py"))


class Add(Protocol):
    """Adds mina_ops to a host, or, for the bare host, does nothing."""

    def __call__(self, app: Flask, **objects: Any) -> None:
        """The one line that a host adds; `objects` are its `socketio` and `db`."""


def _add(app: Flask, **objects: Any) -> None:
    app.config["MINA_OPS_ADMIN_TOKENS"] = {"zoo": hashlib.sha256(TOKEN.encode()).hexdigest()}
    app.config["MINA_OPS_BEAT"] = 0.1
    MinaOps(app, **objects)


def _leave(app: Flask, **objects: Any) -> None:
    """The bare host."""


def pages(name: str) -> tuple[str, ...]:
    """The host's own pages."""
    found: tuple[str, ...] = importlib.import_module(f"tests.hosts.zoo.{name}").PAGES
    return found


def make(name: str, *, bare: bool = False) -> Flask:
    """A host of the zoo."""
    module = importlib.import_module(f"tests.hosts.zoo.{name}")
    app: Flask = module.build(_leave if bare else _add)
    return app


def summary(name: str) -> str:
    """What the host is, in a line."""
    module = importlib.import_module(f"tests.hosts.zoo.{name}")
    return (module.__doc__ or "").partition("\n")[0]
