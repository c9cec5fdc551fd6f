"""Finds out whether an admin asks for health: only admins see details of failures."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flask import Flask

from mina_ops.app.admin.auth import Guard
from mina_ops.errors import RequestError

_log = logging.getLogger(__name__)


def is_admin(app: Flask, guard: Guard, environ: Mapping[str, Any], *, ask_session: bool) -> bool:
    """Whether the caller is an admin; never refuses, since a probe may carry any header.

    A bearer token is compared in memory. A session needs Flask and the host's user loader, so
    it is looked up only if `ask_session` and if there is a cookie at all.
    """
    header = environ.get("HTTP_AUTHORIZATION")
    if header is not None:
        with suppress(RequestError):
            token = guard.bearer(header)
            if token is not None and token.may(None, writes=False):
                return True
    if not ask_session or "HTTP_COOKIE" not in environ:
        return False
    try:
        with app.request_context(dict(environ)), suppress(RequestError):
            guard.require()
            return True
    except Exception:
        # The host's user loader failed; whoever asks for health must hear of it all the same.
        _log.exception("Nobody could be looked up for a verbose health request")
    return False
