"""The table `[colours]` of mina-ops.toml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from mina_ops.errors import ConfigurationError
from mina_ops.fields import ANYTHING, TEXT, TEXT_OR_NONE, TEXTS, needed, setting
from mina_ops.operator.config.tables import Table

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_SOCKET = re.compile(r"unix:/[A-Za-z0-9_./+@-]{1,100}")
UNIX = "unix:"
"""Begins the address of a process that listens on a unix socket: `unix:/run/mina/blue-0.sock`."""
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):([0-9]{1,5})")


@dataclass(frozen=True)
class ColourOptions:
    """A table `[colours.NAME]`."""

    url: str = needed(
        TEXT,
        "where the app answers: an http or https address, or `unix:/path` of its socket",
    )
    instances: Mapping[str, str] = setting(
        dict,
        ANYTHING,
        "instance's name (`MINA_OPS_INSTANCE`, the tag of its session ids) -> `host:port` or "
        "`unix:/path`; each is asked for itself before the colour gets traffic",
        shown='`{ "0" = the address in url }`',
    )
    aliases: tuple[str, ...] = setting(
        (), TEXTS, "other names, the first of which stands in commands", shown='`["mina-NAME"]`'
    )
    version: str | None = setting(
        None, TEXT_OR_NONE, "the release that it runs", shown="as the app says"
    )


@dataclass(frozen=True)
class Colour:
    """One colour: where it answers, and which processes it is made of.

    `instances` maps an instance's name, which tags its session ids, to `host:port`, or to
    `unix:/path` of its socket. `own_probes` says that the file lists them, so that each can be
    asked for itself. `url` is an http or https address, or `unix:/path` as well.
    """

    name: str
    url: str
    instances: Mapping[str, str]
    aliases: tuple[str, ...] = ()
    version: str | None = None
    own_probes: bool = True

    @property
    def processes(self) -> dict[str, str]:
        """Instance -> the URL at which it can be asked for itself; {} where none is listed."""
        scheme = urlsplit(self.url).scheme
        scheme = scheme if scheme == "https" else "http"
        return {
            name: where if where.startswith(UNIX) else f"{scheme}://{where}"
            for name, where in (self.instances.items() if self.own_probes else ())
        }


def read(table: Table) -> Mapping[str, Colour]:
    """The two colours, in the order of the file.

    Raises:
        ConfigurationError: there are not two, or one cannot be used.
    """
    names = table.keys()
    if len(names) != 2:
        raise ConfigurationError(
            f"{table.file}: colours: needs exactly two tables, as [colours.blue] and "
            f"[colours.green]; found {', '.join(names) or 'none'}."
        )
    _refuse_alike(table, names)
    colours = {name: _colour(table.table(name), name) for name in names}
    taken: dict[str, str] = {}
    for colour in colours.values():
        for alias in (colour.name, *colour.aliases):
            if taken.setdefault(alias, colour.name) != colour.name:
                raise table.wrong(colour.name, f"the alias {alias!r} names both colours.")
    return MappingProxyType(colours)


def _colour(table: Table, name: str) -> Colour:
    if not _NAME.fullmatch(name):
        raise table.wrong("", "a colour's name has up to 32 letters, digits, '-' and '_'.")
    url = table.text("url")
    if not _SOCKET.fullmatch(url):
        url = read_url(table, "url")
    listed = table.table("instances")
    _refuse_alike(listed, listed.keys())
    instances = {key: _address(listed, key) for key in listed.keys()}  # noqa: SIM118 - no dict
    options = table.fill(ColourOptions, url=url, instances=instances)
    return Colour(
        name=name,
        url=url,
        instances=MappingProxyType(instances or {"0": _netloc(url)}),
        aliases=options.aliases or (f"mina-{name}",),
        version=options.version,
        own_probes=bool(instances),
    )


def _refuse_alike(table: Table, names: list[str]) -> None:
    # nginx does not tell upstreams apart whose names differ in case alone.
    if len({name.lower() for name in names}) < len(names):
        raise table.wrong(names[-1], "names must differ in more than upper and lower case.")


def read_url(table: Table, key: str) -> str:
    """An http or https address, without a slash at its end; raises ConfigurationError."""
    value = table.text(key)
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment or "@" in parts.netloc:
        raise table.wrong(key, f"{value!r} must be an address such as 'https://blue.example.com'.")
    return value.rstrip("/")


def _netloc(url: str) -> str:
    if url.startswith(UNIX):
        return url
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _address(table: Table, key: str) -> str:
    if not _NAME.fullmatch(key):
        raise table.wrong(key, "an instance's name has up to 32 letters, digits, '-' and '_'.")
    value = table.text(key)
    if _SOCKET.fullmatch(value):
        return value
    match = _ADDRESS.fullmatch(value)
    if not match or not 0 < int(match[2]) < 65536:
        raise table.wrong(
            key, f"{value!r} must be 'host:port', as '127.0.0.1:8001', or 'unix:/path'."
        )
    return value
