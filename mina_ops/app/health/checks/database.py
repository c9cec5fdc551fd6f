"""Is the app's database reachable, and how long does a statement take?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask
from sqlalchemy import text
from sqlalchemy.engine import URL

from mina_ops.app.health.checks.engine import OwnConnection
from mina_ops.app.health.model import Check
from mina_ops.app.settings import Settings

DEADLINE_SECONDS = 3.0
_WORDS = ("connected", "disconnected")


def database_check(
    url: str | URL | None, *, ttl_seconds: float, connect_args: Mapping[str, Any] | None = None
) -> Check:
    """`SELECT 1` over a connection of its own; disabled without a URL."""
    common: dict[str, Any] = {"name": "database", "words": _WORDS, "aliases": ("db",)}
    if url is None:
        return Check(run=None, **common)
    own = OwnConnection(url, statement_seconds=DEADLINE_SECONDS - 1, connect_args=connect_args)

    def ask() -> None:
        own.use(lambda connection: connection.execute(text("SELECT 1")).scalar_one())

    return Check(
        run=ask,
        deadline_seconds=DEADLINE_SECONDS,
        ttl_seconds=ttl_seconds,
        native=True,
        cancel=own.abort,
        **common,
    )


def database_url(app: Flask, settings: Settings, db: Any) -> str | URL | None:
    """Where the app's database is: the setting's word, else the `db` object's; None: nowhere."""
    if settings.database_url:
        return settings.database_url
    db = db or app.extensions.get("sqlalchemy")
    if db is None:
        return None
    with app.app_context():
        try:
            url: URL = db.engine.url
        except (RuntimeError, KeyError):
            return None  # an object that was never bound to this app
    return url


def connect_args(app: Flask) -> Mapping[str, Any]:
    """What the host tells its database driver, for an engine of our own to do likewise."""
    options = app.config.get("SQLALCHEMY_ENGINE_OPTIONS") or {}
    return dict(options.get("connect_args") or {})
