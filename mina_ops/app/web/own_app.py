"""Serves our Flask routes without the host's app around them, for requests with a token of ours.

A login wall, a redirect to https, a maintenance page, `TRUSTED_HOSTS` or a route of the host at
the same path would each stand before `/admin/drain` in the very emergency that it is for. A token
needs none of what the host's app knows, so such a request never comes to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from flask import Blueprint, Flask
from werkzeug.exceptions import HTTPException

from mina_ops.app.web.answers import StartResponse

# What is answered for the caller of a host: who that is, only the host's app can tell.
_OF_THE_HOST = "/api/"


class OwnApp:
    """Answers requests for our routes that bear a known token.

    Args:
        name: the host's import name, for the log.
        blueprints: our routes.
        is_ours: whether a request, by its environ, bears a valid token of ours.
    """

    def __init__(
        self,
        name: str,
        blueprints: Iterable[Blueprint],
        is_ours: Callable[[dict[str, Any]], bool],
    ) -> None:
        self._app = Flask(name, static_folder=None)
        for blueprint in blueprints:
            self._app.register_blueprint(blueprint)
        self._is_ours = is_ours

    def answer(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes] | None:
        """The response; None: the request is the host's, or has to go through the host's app."""
        path = environ.get("PATH_INFO", "")
        if path.startswith(_OF_THE_HOST) or not self._is_known(environ, path):
            return None
        return self._app.wsgi_app(environ, start)

    def _is_known(self, environ: dict[str, Any], path: str) -> bool:
        with suppress(HTTPException):
            if self._is_ours(environ):
                self._app.url_map.bind("").match(path, environ.get("REQUEST_METHOD"))
                return True
        return False
