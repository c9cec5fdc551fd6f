"""Who may look at the console: the bearer of a token, or of a short session after a login.

A session is a signed cookie for the console's paths alone. Nothing of it is stored: it names the
token that it was made of, and ends with that token, after 15 minutes without a look, and 12 hours
after the login at the latest. One made of the host's own login lives for 15 minutes; then the page
asks the host again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any

from itsdangerous import BadSignature, URLSafeTimedSerializer

from mina_ops.app.admin.auth import refuse_cross_site
from mina_ops.app.admin.model import Token
from mina_ops.app.context import Context
from mina_ops.errors import Forbidden, InvalidRequest, NotAuthenticated

COOKIE = "mina_console"
IDLE_SECONDS = 900
LONGEST_SECONDS = 43_200
_RENEW_SECONDS = 120
_MARK_DIGITS = 16


@dataclass(frozen=True)
class Viewer:
    """Who looks.

    Attributes:
        token: what lets them in; None: the host's own login.
        session: the cookie's payload; None for a bearer of a token.
    """

    actor: str
    token: Token | None = None
    session: Mapping[str, Any] | None = None
    age_seconds: float = 0.0

    @property
    def renewable(self) -> bool:
        """Whether a look should put off the session's end."""
        return (
            self.session is not None
            and self.token is not None
            and self.age_seconds > _RENEW_SECONDS
        )


class Viewers:
    """Lets admins in below Flask, out of reach of the host's walls."""

    def __init__(self, context: Context, path: str) -> None:
        self._app = context.app
        self._guard = context.guard
        self._path = path

    def of(self, environ: Mapping[str, Any]) -> Viewer:
        """Who asks.

        Raises:
            NotAuthenticated: neither a known token nor a session that still holds.
            Forbidden: the token is not for looking at everything.
        """
        token = self._guard.admitted(environ)
        if token is not None:
            self._guard.allow(token, environ, None, writes=False)
            return Viewer(token.actor, token)
        payload, age = self._read(environ)
        actor, mark = str(payload["actor"]), str(payload["mark"])
        token = self._guard.tokens.of_session(mark)
        if mark and token is None:
            raise _nobody()
        return Viewer(actor, token, payload, age)

    def enter(self, environ: Mapping[str, Any], token: str | None) -> str:
        """The `Set-Cookie` of a new session.

        Args:
            token: a bearer token; None: whoever is logged in to the host.

        Raises:
            NotAuthenticated: the token is unknown, or nobody is logged in.
            Forbidden: the user is no admin, or another site sent this.
        """
        refuse_cross_site_write(environ)
        if token is not None:
            found = self._guard.enter(token.strip(), environ)
            self._guard.allow(found, environ, None, writes=False)
            actor, mark = found.actor, found.digest[:_MARK_DIGITS]
        else:
            with self._app.request_context(dict(environ)):
                actor, mark = self._guard.require(), ""
        payload = {"actor": actor, "mark": mark, "begun": time.time()}
        return self._cookie(environ, payload)

    def renewed(self, environ: Mapping[str, Any], viewer: Viewer) -> str:
        """The `Set-Cookie` that puts off the end of a session."""
        return self._cookie(environ, viewer.session or {})

    def ended(self) -> str:
        """The `Set-Cookie` that ends a session."""
        return f"{COOKIE}=; Path={self._path}; Max-Age=0; HttpOnly; SameSite=Strict"

    def _cookie(self, environ: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
        value = self._signer().dumps(dict(payload))
        secure = "https" in (
            environ.get("wsgi.url_scheme"),
            environ.get("HTTP_X_FORWARDED_PROTO", "").lower(),
        )
        return (
            f"{COOKIE}={value}; Path={self._path}; Max-Age={IDLE_SECONDS}; HttpOnly; "
            f"SameSite=Strict{'; Secure' if secure else ''}"
        )

    def _read(self, environ: Mapping[str, Any]) -> tuple[Mapping[str, Any], float]:
        try:
            morsel = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(COOKIE)
        except CookieError:
            raise _nobody() from None
        if morsel is None:
            raise _nobody()
        try:
            payload, signed = self._signer().loads(
                morsel.value, max_age=IDLE_SECONDS, return_timestamp=True
            )
        except BadSignature:
            raise _nobody() from None
        now = time.time()
        if now - float(payload["begun"]) > LONGEST_SECONDS:
            raise _nobody()
        return payload, now - signed.timestamp()

    def _signer(self) -> URLSafeTimedSerializer:
        key = self._app.secret_key
        if not key:
            raise Forbidden(
                "The console's login needs the app's SECRET_KEY, the same for both colours."
            )
        keys = [*(self._app.config.get("SECRET_KEY_FALLBACKS") or ()), key]
        return URLSafeTimedSerializer(
            keys, salt="mina-ops-console", signer_kwargs={"key_derivation": "hmac"}
        )


def _nobody() -> NotAuthenticated:
    return NotAuthenticated("Nobody is logged in to the console.")


def refuse_cross_site_write(environ: Mapping[str, Any]) -> None:
    """Refuse a write that no page of this origin sent, or that is not JSON.

    Another site's form cannot send JSON, and its script only with a leave that is never given.

    Raises:
        Forbidden: the browser says that another site or origin sent it.
        InvalidRequest: its content type is not JSON.
    """
    names = {"Sec-Fetch-Site": "HTTP_SEC_FETCH_SITE", "Origin": "HTTP_ORIGIN"}
    headers = {name: environ[key] for name, key in names.items() if key in environ}
    refuse_cross_site(headers, environ.get("HTTP_HOST", ""))
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise InvalidRequest("Send it as application/json.")
