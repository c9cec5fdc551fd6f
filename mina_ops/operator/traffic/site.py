"""What a load balancer's site needs to know, whichever load balancer it is.

Every value ends up in a configuration, so each is checked against the form it must have there.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mina_ops.fields import PATH, TEXT, TEXT_OR_NONE, TEXTS, WHOLE, Form, needed, setting
from mina_ops.operator.config.tables import Table
from mina_ops.operator.traffic.mirror import OWN_PATHS
from mina_ops.operator.traffic.testers import TesterSecret

_Options = TypeVar("_Options")
_YEAR_SECONDS = 31_536_000
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_PATH = re.compile(r"/[A-Za-z0-9_./+@-]*")
_CLOSED = re.compile(r"(/[A-Za-z0-9_.+@-]+)+/?")
_BELOW = re.compile(r"/|(/[A-Za-z0-9_.+@-]+)+/?")
_PREFIX = re.compile(r"/([A-Za-z0-9_.+@-]+/)+")
_LISTEN = re.compile(r"(([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]|\*):)?[0-9]{1,5}")
_USER_HEADER = "X-User-ID"


def is_address(text: str) -> bool:
    """Whether a text is a port, or a host and a port."""
    return bool(_LISTEN.fullmatch(text))


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


PLAIN = Form(_PATH.fullmatch, "hold letters, digits and _./+@- only")
"""A path without a character that a configuration file would read as its own."""
_NAME = Form(_WORD.fullmatch, "look like letters, digits and '_'")
_FIELD = Form(_HEADER.fullmatch, "look like 'X-User-ID'")
_NETWORK = Form(_is_network, "be a network such as '10.0.0.0/8'")


@dataclass(frozen=True, kw_only=True)
class VisitorOptions:
    """How visitors are told apart, whatever engine sorts them."""

    cookie: str = setting("mina_key", TEXT, "name of the sticky key's cookie", form=_NAME)
    cookie_seconds: int = setting(
        _YEAR_SECONDS, WHOLE, "how long the sticky key's cookie lives", "seconds", least=60
    )
    user_header: str | None = setting(
        None,
        TEXT_OR_NONE,
        "header with a request's user id for cohorts",
        shown=f'`"{_USER_HEADER}"`',
        form=_FIELD,
    )
    user_cookie: str | None = setting(
        None, TEXT_OR_NONE, "cookie with the user id, in the header's place", form=_NAME
    )
    socketio_path: str = setting(
        "/socket.io",
        TEXT,
        "path of the app's Socket.IO server",
        form=Form(_PATH.fullmatch, "look like '/socket.io'"),
    )
    asset_prefixes: tuple[str, ...] = setting(
        ("/static/",),
        TEXTS,
        "below these, a file that one colour lacks is asked of the other; no cookie of ours there",
        form=Form(_PREFIX.fullmatch, "look like '/static/'"),
    )
    tester_secret_file: Path | None = setting(
        None, PATH, "file with the secret that signs the values which send testers to a colour"
    )
    tester_secret_env: str | None = setting(
        None, TEXT_OR_NONE, "variable with that secret, in the file's place"
    )

    @property
    def tester_secret(self) -> TesterSecret:
        """Where the secret of the testers' values is."""
        return TesterSecret(self.tester_secret_file, self.tester_secret_env)


@dataclass(frozen=True, kw_only=True)
class SiteOptions(VisitorOptions):
    """The options that nginx, HAProxy and Envoy share; at most one of a header and its cookie."""

    state: Path = needed(
        PATH, "folder with the split; the load balancer must be able to read it", form=PLAIN
    )
    listen: str = setting(
        "80",
        TEXT,
        "address of the site",
        form=Form(is_address, "look like '80' or '127.0.0.1:8080'"),
    )
    key_header: str | None = setting(
        None,
        TEXT_OR_NONE,
        "header that tells clients without our cookie apart",
        shown="address and user agent",
        form=_FIELD,
    )
    key_cookie: str | None = setting(
        None, TEXT_OR_NONE, "cookie that does so, in the header's place", form=_NAME
    )
    read_timeout_seconds: int = setting(
        60, WHOLE, "how long the app may take for a plain request", "seconds", least=1, most=3600
    )
    trusted_proxies: tuple[str, ...] = setting(
        (),
        TEXTS,
        "networks whose `X-Forwarded-*` are believed; those of all others are overwritten",
        form=_NETWORK,
    )
    closed_paths: tuple[str, ...] = setting(
        (),
        TEXTS,
        'answered 404 with all below them, as `["/metrics", "/admin", "/mina-ops"]`; see '
        "[security](security.md)",
        form=Form(_CLOSED.fullmatch, "look like '/admin'"),
    )
    inside_networks: tuple[str, ...] = setting(
        (), TEXTS, "networks that reach the closed paths all the same", form=_NETWORK
    )

    @property
    def closed(self) -> list[str]:
        """The closed paths, without the slashes at their ends."""
        return [path.strip("/") for path in self.closed_paths]

    @property
    def closed_pattern(self) -> str:
        """A regular expression for the closed paths, decoded as the app reads them."""
        return _below(self.closed)


@dataclass(frozen=True, kw_only=True)
class MirroringOptions(SiteOptions):
    """The options of a load balancer that can mirror requests."""

    mirror_paths: tuple[str, ...] = setting(
        ("/",),
        TEXTS,
        "what a release's phase `shadow` may mirror: GETs of these, with all below them",
        form=Form(_BELOW.fullmatch, "look like '/api'"),
    )
    unmirrored_paths: tuple[str, ...] = setting(
        (),
        TEXTS,
        "never mirrored, with all below them: pages that change something when they are read, as "
        '`["/logout", "/invite"]`',
        form=Form(_CLOSED.fullmatch, "look like '/logout'"),
    )

    @property
    def mirrored(self) -> list[str]:
        """What may be mirrored, without the slashes at the ends; "": everything."""
        return [path.strip("/") for path in self.mirror_paths]

    @property
    def unmirrored(self) -> list[str]:
        """What is not, ours and the host's, without the slashes at the ends."""
        paths = (*OWN_PATHS, self.socketio_path, *self.unmirrored_paths)
        return [path.strip("/") for path in paths]

    @property
    def mirrored_pattern(self) -> str:
        """A regular expression for what may be mirrored, of a path as the app reads it."""
        return _below(self.mirrored)

    @property
    def unmirrored_pattern(self) -> str:
        """The same for what is not, which counts before it."""
        return _below(self.unmirrored)


def _below(paths: list[str]) -> str:
    if "" in paths:
        return "/"
    return f"/+({'|'.join(map(re.escape, paths))})([/.]|$)"


def fill(table: Table, options: type[_Options], **given: Any) -> _Options:
    """Such options from their table; `given` holds what depends on others of its keys.

    Raises:
        ConfigurationError: a value is missing or not of the form that a load balancer takes.
    """
    for what in ("user", "key"):
        if f"{what}_header" in table and f"{what}_cookie" in table:
            raise table.wrong(f"{what}_cookie", f"give {what}_header or {what}_cookie, not both.")
    if "user_header" not in table and "user_cookie" not in table:
        given["user_header"] = _USER_HEADER
    return table.fill(options, **given)


def in_state(table: Table, key: str, name: str) -> dict[str, Path]:
    """The argument of a path that lies in the state's folder under `name` if it is not given."""
    return {} if key in table else {key: table.path("state") / name}


def require_both(table: Table, certificate: Path | None, key: Path | None) -> None:
    """Refuse a certificate without its key, and a key without its certificate."""
    if (certificate is None) != (key is None):
        raise table.wrong("certificate", "give certificate and certificate_key, or neither.")
