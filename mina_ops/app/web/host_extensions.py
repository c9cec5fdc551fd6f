"""Exempts our routes from other extensions of the host: CSRFProtect and Flask-Limiter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import Blueprint, Flask


def exempt(app: Flask, blueprints: Iterable[Blueprint]) -> None:
    """Tell CSRFProtect (Flask-WTF) and Flask-Limiter to leave our blueprints alone; idempotent.

    Our own cross-site check and tokens stand in for the former; the latter would turn the
    101st look at a drain into a 429.
    """
    guards: list[Any] = []
    csrf = app.extensions.get("csrf")
    if csrf is not None and hasattr(csrf, "exempt"):
        guards.append(csrf)
    limiters = app.extensions.get("limiter", ())
    guards += list(limiters) if isinstance(limiters, set | tuple | list) else [limiters]
    for guard in guards:
        for blueprint in blueprints:
            guard.exempt(blueprint)
