"""Gives a visitor a sticky key where the load balancer cannot, as behind Kubernetes' Gateway API.

An HTTPRoute draws who has no key by weight, and can set no cookie that fits what was drawn. So it
tells the app which buckets each colour has, and the colour that answers gives one of its own:

    X-Mina-Sticky: mina_key; max-age=31536000; blue=37-100; green=0-37; except=/static/

    answered by green   Set-Cookie: mina_key=12.9c1f0a66b2d4e813
    answered by blue    Set-Cookie: mina_key=58.04b7c2...

nginx and its like make the same cookie themselves and never send that header. A client that sends
it itself gets a cookie of its own wish, which it could have made without us.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from mina_ops.app.web.answers import StartResponse

STICKY_KEY = "HTTP_X_MINA_STICKY"
_BUCKETS = 100
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_RANGE = re.compile(r"([0-9]{1,3})-([0-9]{1,3})")
_LONGEST = 1000
_KEPT_BY_CACHES = re.compile(r"(^|[\s,])(public|s-maxage|immutable)", re.IGNORECASE)


class StickyKeys:
    """Gives keys for the buckets of one colour.

    Args:
        environment: the colour's name, or an alias by which the load balancer knows it.
    """

    def __init__(self, environment: str) -> None:
        self._environment = environment

    def giving(self, environ: Mapping[str, Any], start: StartResponse) -> StartResponse:
        """`start`, which sets the cookie unless a cache may keep the answer."""
        cookie = self._cookie(environ)
        if cookie is None:
            return start
        header = ("Set-Cookie", cookie)

        def start_with_key(line: str, headers: Any, *rest: Any) -> Any:
            return start(line, headers if _is_public(headers) else [*headers, header], *rest)

        return start_with_key

    def _cookie(self, environ: Mapping[str, Any]) -> str | None:
        """The cookie for one of our buckets; None: the wish cannot be read, or is not for us."""
        name, *fields = environ[STICKY_KEY][:_LONGEST].split("; ")
        pairs = [field.partition("=")[::2] for field in fields]
        excepted = tuple(value for key, value in pairs if key == "except")
        wish = dict(pairs)
        ours = _RANGE.fullmatch(wish.get(self._environment, ""))
        age = wish.get("max-age", "")
        if ours is None or not _NAME.fullmatch(name) or not age.isdecimal():
            return None
        low, high = int(ours[1]), min(int(ours[2]), _BUCKETS)
        if low >= high or (excepted and environ.get("PATH_INFO", "").startswith(excepted)):
            return None
        key = f"{low + secrets.randbelow(high - low)}.{secrets.token_hex(8)}"
        is_secure = environ.get("HTTP_X_FORWARDED_PROTO", environ["wsgi.url_scheme"]) == "https"
        secure = "; Secure" if is_secure else ""
        return f"{name}={key}; Path=/; Max-Age={int(age)}; HttpOnly; SameSite=Lax{secure}"


def _is_public(headers: Iterable[tuple[str, str]]) -> bool:
    return any(
        name.lower() == "cache-control" and _KEPT_BY_CACHES.search(value) for name, value in headers
    )
