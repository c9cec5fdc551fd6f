"""Who may act: an admin who is logged in through Flask-Login, or the bearer of a known token."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import current_app, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException

from mina_ops.app.settings import Settings
from mina_ops.errors import Forbidden, NotAuthenticated, UserUnavailable

_log = logging.getLogger(__name__)

_SAFE = ("GET", "HEAD", "OPTIONS")


class Guard:
    """Lets admins pass and names them; compares token digests in constant time."""

    def __init__(self, settings: Settings) -> None:
        self._tokens: Mapping[str, str] = {**settings.read_tokens, **settings.admin_tokens}
        self._readers = {f"token:{name}" for name in settings.read_tokens} - {
            f"token:{name}" for name in settings.admin_tokens
        }
        self._is_admin: Callable[[Any], bool] = settings.is_admin or _has_admin_mark

    def require(self) -> str:
        """The actor of the present request: `token:<name>` or `user:<id>`.

        Raises:
            NotAuthenticated: nobody is logged in and no known token came along.
            Forbidden: the user is no admin, or a write with a cookie came from another site.
            UserUnavailable: the host cannot look its user up now.
        """
        actor = self.bearer(request.headers.get("Authorization"))
        if actor is not None:
            if request.method not in _SAFE and not self.may_write(actor):
                raise Forbidden("This token may only read.")
            return actor
        user = logged_in_user()
        if user is None:
            raise NotAuthenticated(
                "Log in as an admin, or send Authorization: Bearer with a token "
                "(`mina-ops token new NAME` makes one)."
            )
        if not self._is_admin(user):
            raise Forbidden("This account is no admin.")
        if request.method not in _SAFE:
            refuse_cross_site(request.headers, request.host)
        return f"user:{user.get_id()}"

    def admit(self, name: str, digest: str) -> None:
        """Let the bearer of one more token act, as `mina_ops.testing` does for a test's client."""
        self._tokens = {**self._tokens, name: digest}

    def may_write(self, actor: str) -> bool:
        """Whether an actor may change anything; the bearer of a read token may not."""
        return actor not in self._readers

    def bearer(self, header: str | None) -> str | None:
        """`token:<name>` for a header `Bearer <known token>`; None without such a header.

        Raises:
            NotAuthenticated: the header bears an unknown token.
        """
        scheme, _, token = (header or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        digest = hashlib.sha256(token.strip().encode()).hexdigest()
        names = [n for n, known in self._tokens.items() if hmac.compare_digest(known, digest)]
        if not names:
            raise NotAuthenticated("This bearer token is not known here.")
        return f"token:{names[0]}"


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
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        raise Forbidden("Refused: the request comes from another origin.")


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


def _has_admin_mark(user: Any) -> bool:
    mark = getattr(user, "is_admin", False)
    return bool(mark() if callable(mark) else mark)
