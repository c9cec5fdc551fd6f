"""Finds the app's database. SQLAlchemy is imported only where there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Flask

from mina_ops.app.native import Native
from mina_ops.app.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from mina_ops.app.database.source import Source


def source_of(
    app: Flask, settings: Settings, db: Any, native: Native
) -> Callable[[], Source | None]:
    """Where the app's database is: the setting's URL, else the engine of the `db` object.

    Args:
        db: a Flask-SQLAlchemy object; None: looked for in the app's extensions at each call.

    Returns:
        A function that finds it; None while there is none, as before `db.init_app(app)`.
    """
    found: list[Source] = []

    def find() -> Source | None:
        if not found:
            engine = _engine_of(app, settings, db)
            if engine is not None:
                from mina_ops.app.database.source import Source

                found.append(Source(engine, native, app))
        return found[0] if found else None

    return find


def _engine_of(app: Flask, settings: Settings, db: Any) -> Engine | None:
    if settings.database_url:
        from sqlalchemy import create_engine, make_url
        from sqlalchemy.pool import NullPool

        return create_engine(make_url(settings.database_url), poolclass=NullPool)
    db = db or app.extensions.get("sqlalchemy")
    if db is None:
        return None
    with app.app_context():
        try:
            engine: Engine = db.engine
        except (RuntimeError, KeyError):
            return None  # an object that was never bound to this app
    return engine
