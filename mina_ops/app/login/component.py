"""`POST /api/auth/login` for a host that has no such route: username and password, then a cookie.

It is answered below Flask, like a probe: a login wall, a CSRF guard or a maintenance page of the
host stands before no admin who has to drain. A host that has a route of its own there keeps it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Set
from typing import Any
from urllib.parse import parse_qsl

from flask import session
from werkzeug import Request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from mina_ops.app.admin.auth import refuse_cross_site
from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.login import contract
from mina_ops.app.login.attempts import Attempts
from mina_ops.app.web.answers import Answer, AnyMethod, Probe, ProbeRequest
from mina_ops.app.web.clashes import HostRoutes
from mina_ops.app.web.client import client_of
from mina_ops.app.web.openapi.check import require_body
from mina_ops.app.web.openapi.operations import Contract
from mina_ops.errors import (
    Forbidden,
    InvalidRequest,
    NotAuthenticated,
    TooLarge,
    TooManyRequests,
    UserUnavailable,
)

LARGEST_BODY = 4096
_METHODS = ("POST", "OPTIONS")
_log = logging.getLogger(__name__)


class Login(Component):
    """Logs in whom the setting `MINA_OPS_LOGIN` knows; without it there is no such endpoint."""

    name = "login"

    def __init__(self, context: Context) -> None:
        self._app = context.app
        self._check = context.settings.login
        self._attempts = Attempts()
        self._refusals = context.guard.refusals
        self._host_routes = HostRoutes(context.app)

    def probes(self) -> Mapping[str, Probe]:
        if self._check is None:
            return {}
        return {contract.PATH: AnyMethod(self._answer, _METHODS)}

    def left_to_host(self) -> Set[str]:
        return frozenset({contract.PATH})

    def openapi(self) -> Contract:
        if self._host_routes.serves(contract.PATH, "POST"):
            return Contract(notes=(contract.OF_THE_HOST,))
        return contract.contract() if self._check else Contract(notes=(contract.NONE,))

    def _answer(self, asked: ProbeRequest) -> Answer:
        if asked.environ.get("REQUEST_METHOD") == "OPTIONS":
            return Answer(204, headers={"Allow": ", ".join(_METHODS)})
        request = Request(dict(asked.environ), populate_request=False)
        refuse_cross_site(request.headers, request.environ.get("HTTP_HOST", ""))
        username, password = _both(request)
        try:
            take_back = self._attempts.begin(client_of(asked.environ))
        except TooManyRequests:
            self._refusals.note("login", asked.environ)
            raise
        try:
            answer = self._enter(request, username, password)
        except NotAuthenticated:
            self._refusals.note("login", asked.environ)
            raise
        except Exception:
            take_back()  # nobody guessed wrong: the host could not look
            raise
        take_back()
        return answer

    def _enter(self, request: Request, username: str, password: str) -> Answer:
        from flask_login import login_user

        with self._app.request_context(request.environ):
            if not hasattr(self._app, "login_manager"):
                raise Forbidden("This app has no Flask-Login; use a bearer token.")
            if self._app.session_interface.is_null_session(session):
                raise Forbidden("A login needs the app's SECRET_KEY, the same for both colours.")
            user = self._found(username, password)
            if user is None or not login_user(user):
                _log.warning("A login from %s was refused", client_of(request.environ))
                raise NotAuthenticated("Username or password is wrong.")
            _log.info("user:%s logged in from %s", user.get_id(), client_of(request.environ))
            return Answer(200, {"status": "logged_in", "user": user.get_id()}, self._cookie())

    def _found(self, username: str, password: str) -> Any:
        assert self._check is not None
        try:
            return self._check(username, password)
        except Exception as exc:
            _log.warning("MINA_OPS_LOGIN failed: %s", type(exc).__name__)
            raise UserUnavailable("You cannot be looked up now. Retry in a moment.") from exc

    def _cookie(self) -> dict[str, str]:
        """The session's cookie, saved as the host saves its sessions; none of its hooks is run."""
        response = self._app.make_response("")
        # The interface takes the present session, not the proxy that stands for it.
        current: Any = session._get_current_object()  # type: ignore[attr-defined]
        self._app.session_interface.save_session(self._app, current, response)
        return {k: v for k, v in response.headers.items() if k in ("Set-Cookie", "Vary")}


def _both(request: Request) -> tuple[str, str]:
    """Username and password of a form (curl's `-d`) or of JSON, whatever the content type says.

    Raises:
        InvalidRequest: one is missing or is no text, or there is more than the two.
        TooLarge: the body is larger than any login.
    """
    fields = _fields(request)
    require_body(fields, contract.CREDENTIALS)
    return fields["username"], fields["password"]


def _fields(request: Request) -> Mapping[str, Any]:
    request.max_content_length = LARGEST_BODY
    try:
        if request.mimetype == "multipart/form-data":
            return request.form
        text = request.get_data(parse_form_data=False).decode()
        return dict(_json(text) if text.lstrip().startswith("{") else parse_qsl(text))
    except RequestEntityTooLarge as exc:
        raise TooLarge(f"The body is larger than {LARGEST_BODY} bytes.") from exc
    except (ValueError, RecursionError, HTTPException) as exc:
        raise InvalidRequest("Send username and password, as a form or as JSON.") from exc


def _json(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found
