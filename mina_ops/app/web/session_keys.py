"""Keeps session cookies of an earlier key valid under versions of Flask that know one key only."""

from __future__ import annotations

import copy
from importlib.metadata import version
from typing import Any

from flask import Flask
from flask.sessions import SecureCookieSessionInterface

# 3.0 has no SECRET_KEY_FALLBACKS; 3.1.0 signs with a fallback instead of the key (CVE-2025-47278).
_FLASK_DOES_IT = (3, 1, 1)


class _Fallbacks(SecureCookieSessionInterface):
    """Signs with `SECRET_KEY`, and verifies with `SECRET_KEY_FALLBACKS` too."""

    def get_signing_serializer(self, app: Flask) -> Any:
        serializer = super().get_signing_serializer(app)
        if serializer is not None and (earlier := app.config.get("SECRET_KEY_FALLBACKS")):
            keys = [*earlier, app.secret_key]
            # itsdangerous signs with the last one and tries the others.
            serializer.secret_keys = [k.encode() if isinstance(k, str) else k for k in keys]
        return serializer


def verify_with_fallbacks(app: Flask) -> None:
    """Let the app's cookie sessions survive a rotation of `SECRET_KEY` under any Flask.

    A host's own subclass of Flask's interface is kept; sessions on a server are left alone.
    """
    interface = app.session_interface
    if _flask() >= _FLASK_DOES_IT or not isinstance(interface, SecureCookieSessionInterface):
        return
    own = type(interface)
    # A copy, since Flask's default interface is one object for all apps.
    mixed = copy.copy(interface)
    mixed.__class__ = type(own.__name__, (_Fallbacks, own), {})
    app.session_interface = mixed


def _flask() -> tuple[int, ...]:
    return tuple(int(part) for part in version("flask").split(".")[:3] if part.isdigit())
