"""What a load balancer's site needs to know, whichever load balancer it is.

Every value ends up in a configuration, so each is checked against the form it must have there.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mina_ops.operator.config.tables import Table
from mina_ops.operator.traffic import testers
from mina_ops.operator.traffic.testers import TesterSecret

_YEAR_SECONDS = 31_536_000
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_PATH = re.compile(r"/[A-Za-z0-9_./+@-]*")
_CLOSED = re.compile(r"(/[A-Za-z0-9_.+@-]+)+/?")
_PREFIX = re.compile(r"/([A-Za-z0-9_.+@-]+/)*")
_LISTEN = re.compile(r"(([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]|\*):)?[0-9]{1,5}")


@dataclass(frozen=True, kw_only=True)
class SiteOptions:
    """The options that nginx, HAProxy and Envoy share.

    Attributes:
        state: folder with the split; the load balancer must be able to read it.
        listen: address of the site, as "80" or "127.0.0.1:8080".
        cookie: name of the sticky key's cookie, which lives for `cookie_seconds`.
        user_header, user_cookie: where a request's user id for cohorts is; one of them is None.
        key_header, key_cookie: tell clients without that cookie apart, instead of address and user
            agent; one of them is None.
        asset_prefixes: paths below which a file that one colour lacks is asked of the other.
        tester_secret: signs the values that send testers to a colour.
        trusted_proxies: networks whose X-Forwarded-* headers are believed.
        closed_paths: answered 404 with all below them, to everybody but `inside_networks`.
    """

    state: Path
    listen: str = "80"
    cookie: str = "mina_key"
    cookie_seconds: int = _YEAR_SECONDS
    user_header: str | None = "X-User-ID"
    user_cookie: str | None = None
    socketio_path: str = "/socket.io"
    trusted_proxies: tuple[str, ...] = ()
    read_timeout_seconds: int = 60
    key_header: str | None = None
    key_cookie: str | None = None
    asset_prefixes: tuple[str, ...] = ("/static/",)
    tester_secret: TesterSecret = TesterSecret(None, None)
    closed_paths: tuple[str, ...] = ()
    inside_networks: tuple[str, ...] = ()

    @property
    def closed_pattern(self) -> str:
        """A regular expression for the closed paths, decoded as the app reads them."""
        return f"/+({'|'.join(map(re.escape, self.closed_paths))})([/.]|$)"


def read_site(table: Table) -> dict[str, Any]:
    """The arguments of `SiteOptions` that the table gives.

    Raises:
        ConfigurationError: a value is missing or not of the form that a load balancer takes.
    """
    header, cookie = _header_or_cookie(table, "user", "X-User-ID")
    key_header, key_cookie = _header_or_cookie(table, "key", None)
    return {
        "state": plain(table, "state", table.path("state")),
        "listen": address(table, "listen", "80"),
        "cookie": matching(table, "cookie", "mina_key", _WORD, "letters, digits and '_'"),
        "cookie_seconds": table.integer("cookie_seconds", _YEAR_SECONDS, least=60),
        "user_header": header,
        "user_cookie": cookie,
        "socketio_path": matching(table, "socketio_path", "/socket.io", _PATH, "'/socket.io'"),
        "trusted_proxies": _networks(table, "trusted_proxies"),
        "read_timeout_seconds": table.integer("read_timeout_seconds", 60, least=1, most=3600),
        "key_header": key_header,
        "key_cookie": key_cookie,
        "asset_prefixes": _prefixes(table),
        "tester_secret": testers.read_secret(table),
        "closed_paths": _closed(table),
        "inside_networks": _networks(table, "inside_networks"),
    }


def matching(table: Table, key: str, default: str, form: re.Pattern[str], right: str) -> str:
    """A text of a form; `right` is an example for the message."""
    value = table.text(key, default)
    if not form.fullmatch(value):
        raise table.wrong(key, f"{value!r} must look like {right}.")
    return value


def address(table: Table, key: str, default: str) -> str:
    """A port, or a host and a port."""
    return matching(table, key, default, _LISTEN, "'80' or '127.0.0.1:8080'")


def plain(table: Table, key: str, path: Path) -> Path:
    """A path without a character that a configuration file would read as its own."""
    if not _PATH.fullmatch(str(path)):
        raise table.wrong(key, f"{str(path)!r} may hold letters, digits and _./+@- only.")
    return path


def plain_or_none(table: Table, key: str) -> Path | None:
    """Such a path, or None where the key is absent."""
    path = table.path(key, None)
    return path if path is None else plain(table, key, path)


def _header_or_cookie(
    table: Table, what: str, default: str | None
) -> tuple[str | None, str | None]:
    """The header and the cookie that carry something; at least one of them is None."""
    header, cookie = table.text(f"{what}_header", None), table.text(f"{what}_cookie", None)
    if header and cookie:
        raise table.wrong(f"{what}_cookie", f"give {what}_header or {what}_cookie, not both.")
    if cookie:
        return None, matching(table, f"{what}_cookie", cookie, _WORD, "letters, digits and '_'")
    chosen = header or default
    if chosen is None:
        return None, None
    return matching(table, f"{what}_header", chosen, _HEADER, "'X-User-ID'"), None


def _prefixes(table: Table) -> tuple[str, ...]:
    prefixes = table.texts("asset_prefixes", ("/static/",))
    for prefix in prefixes:
        if not _PREFIX.fullmatch(prefix) or prefix == "/":
            raise table.wrong("asset_prefixes", f"{prefix!r} must look like '/static/'.")
    return prefixes


def _closed(table: Table) -> tuple[str, ...]:
    """The paths without their first slash."""
    paths = table.texts("closed_paths", ())
    for path in paths:
        if not _CLOSED.fullmatch(path):
            raise table.wrong("closed_paths", f"{path!r} must look like '/admin'.")
    return tuple(path.strip("/") for path in paths)


def _networks(table: Table, key: str) -> tuple[str, ...]:
    networks = table.texts(key, ())
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as exc:
            raise table.wrong(key, f"{network!r} must be a network such as '10.0.0.0/8'.") from exc
    return networks
