"""Who may act: an admin who is logged in through Flask-Login, or the bearer of a known token."""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from flask import current_app, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException

from mina_ops.app.admin.model import Scope, Token
from mina_ops.app.admin.refusals import UNKNOWN, Refusals
from mina_ops.app.admin.tokens import Tokens
from mina_ops.app.clock import Clock
from mina_ops.app.settings import Settings
from mina_ops.app.state.base import Store
from mina_ops.errors import Forbidden, NotAuthenticated, UserUnavailable

_log = logging.getLogger(__name__)

_FOUND = "mina_ops.token"
"""Where a request's environ holds the valid token that it bears. No client can set that."""

_SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes something, and from where."""

    actor: str
    address: str = ""
    correlation_id: str = ""


class Guard:
    """Lets admins and bearers of tokens pass, and names them.

    Args:
        tokens: who may come.
        refusals: told of everybody who may not.
        is_admin: says of Flask-Login's user whether they are an admin.
    """

    def __init__(
        self, tokens: Tokens, refusals: Refusals, is_admin: Callable[[Any], Any] | None = None
    ) -> None:
        self.tokens = tokens
        self.refusals = refusals
        self._is_admin = is_admin or _admin_mark

    def require(self, part: Scope | None = None, *, writes: bool | None = None) -> str:
        """The actor of the present request: `token:<name>` or `user:<id>`.

        Args:
            part: the scope of a token that suffices for this, beside `admin`.
            writes: whether something is changed; default: what the method says.

        Raises:
            NotAuthenticated: nobody is logged in and no known token came along.
            Forbidden: the user is no admin, the token is for something else, or a write with a
                cookie came from another site.
            TooManyRequests: unknown tokens came from this address again and again.
            UserUnavailable: the host cannot look its user up now, or the store its tokens.
        """
        is_write = request.method not in _SAFE
        token = self.admitted(request.environ)
        if token is not None:
            self.allow(token, request.environ, part, writes=is_write if writes is None else writes)
            return token.actor
        user = logged_in_user()
        if user is None:
            raise NotAuthenticated(
                "Log in as an admin, or send Authorization: Bearer with a token "
                "(`mina-ops token new NAME` makes one)."
            )
        if not _is_true(self._is_admin(user)):
            self.refusals.note("user", request.environ)
            raise Forbidden("This account is no admin.")
        if is_write:
            try:
                refuse_cross_site(request.headers, request.host)
            except Forbidden:
                self.refusals.note("cross_site", request.environ)
                raise
        return f"user:{user.get_id()}"

    def author(self, part: Scope | None = None) -> Author:
        """The actor of the present request with its origin; raises as `require` does."""
        address, correlation_id = origin()
        return Author(self.require(part), address, correlation_id)

    def admit(self, name: str, digest: str) -> None:
        """Let the bearer of one more token act, as `mina_ops.testing` does for a test's client."""
        self.tokens.admit(name, digest)

    def allow(
        self, token: Token, environ: Mapping[str, Any], part: Scope | None, *, writes: bool
    ) -> None:
        """Refuse what a token is not for; raises Forbidden."""
        if not token.may(part, writes=writes):
            self.refusals.note("token_scope", environ)
            only = " and ".join(sorted(token.scopes))
            raise Forbidden(f"This token may not do that: its scope is {only}.")

    def bearer(self, header: str | None) -> Token | None:
        """The valid token of a header `Bearer <token>`, from memory; None without such a header.

        Raises:
            NotAuthenticated: the header bears no valid token.
        """
        secret = _secret(header)
        return None if secret is None else _valid(*self.tokens.find(_digest(secret)))

    def is_ours(self, environ: dict[str, Any]) -> bool:
        """Whether a request bears a valid token of ours; one that another process made counts.

        That may take a look at the store, once a second at the most. The request keeps what was
        found, so that `require` does not look for it again.
        """
        secret = _secret(environ.get("HTTP_AUTHORIZATION"))
        if secret is None:
            return False
        digest = _digest(secret)
        token, state = self.tokens.find(digest)
        if token is None:
            token, state = self.tokens.look_again(digest)
        if token is None or state != "valid":
            return False
        environ[_FOUND] = token
        return True

    def admitted(self, environ: Mapping[str, Any]) -> Token | None:
        """The valid token that a request bears; None without any. Whoever is refused is counted.

        Raises:
            NotAuthenticated, TooManyRequests, UserUnavailable: as `require` does.
        """
        found: Token | None = environ.get(_FOUND)
        if found is not None:
            return found
        secret = _secret(environ.get("HTTP_AUTHORIZATION"))
        return None if secret is None else self.enter(secret, environ)

    def enter(self, secret: str, environ: Mapping[str, Any]) -> Token:
        """The valid token of a secret that a request brought; raises as `require` does."""
        digest = _digest(secret)
        token, state = self.tokens.find(digest)
        if token is None:
            self.refusals.slow_down(environ)
            token, state = self.tokens.look_again(digest)
        if token is None or state != "valid":
            self.refusals.note(UNKNOWN if token is None else f"{state}_token", environ)
            if token is None and not self.tokens.known:
                raise UserUnavailable(
                    "Tokens cannot be looked up now, as the shared state is away."
                )
        return _valid(token, state)


def _valid(token: Token | None, state: str) -> Token:
    if token is None:
        raise NotAuthenticated("This bearer token is not known here.")
    if state != "valid":
        raise NotAuthenticated(f"This bearer token is {state}.")
    return token


def _secret(header: str | None) -> str | None:
    scheme, _, secret = (header or "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def make_guard(settings: Settings, store: Store, clock: Clock) -> Guard:
    """The guard of an app, with the tokens of its settings and of the store."""
    return Guard(Tokens(settings, store, clock), Refusals(), settings.is_admin)


def origin() -> tuple[str, str]:
    """Where the present request came from, and the id that leads to it in other logs.

    The id is the request's `X-Request-ID`, else one that is made for it.
    """
    return request.remote_addr or "", request.headers.get("X-Request-ID", "")[:128] or (
        secrets.token_hex(8)
    )


def refuse_cross_site(headers: Mapping[str, str] | Headers, host: str) -> None:
    """Refuse a write that a browser sent for another site; a client that tells nothing passes.

    Raises:
        Forbidden: `Sec-Fetch-Site` is neither same-origin nor none, or `Origin` is another host.

    Source: Fetch Metadata Request Headers (W3C), section 2.3; RFC 6454 for `Origin`.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise Forbidden("Refused: the request comes from another site.")
        return
    origin = headers.get("Origin")
    if origin is not None and _netloc(origin) != host.lower():
        raise Forbidden("Refused: the request comes from another origin.")


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None  # `http://[`


def logged_in_user() -> Any | None:
    """Flask-Login's user of the present request; None for a guest or without Flask-Login.

    Raises:
        UserUnavailable: the host's user loader failed, as while its database is away.
    """
    if not hasattr(current_app, "login_manager"):
        return None
    from flask_login import current_user

    try:
        # Not the proxy, which takes a RuntimeError of the loader for nobody.
        user = current_user._get_current_object()
        return user if user and user.is_authenticated else None
    except HTTPException:
        raise  # the host's own answer
    except Exception as exc:
        _log.warning("The host's user loader failed: %s", type(exc).__name__)
        raise UserUnavailable("You cannot be looked up now. Retry in a moment.") from exc


def _admin_mark(user: Any) -> Any:
    value = getattr(user, "is_admin", False)
    return value() if callable(value) else value


def _is_true(value: Any) -> bool:
    """Whether a value says yes; a host may keep it as text, and the text "false" is truthy."""
    if isinstance(value, str):
        return value.strip().lower() in ("true", "yes", "on", "1", "t", "y")
    return bool(value)
