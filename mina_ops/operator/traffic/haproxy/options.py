"""The table `[traffic.haproxy]` of mina-ops.toml."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mina_ops.operator.config.tables import Table
from mina_ops.operator.traffic import site
from mina_ops.operator.traffic.site import SiteOptions

_HOST_PORT = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")
_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One HAProxy: its admin socket, and how its map is kept for a restart.

    Attributes:
        socket: path of a unix socket, or host:port.
        persist: command that keeps the map it reads on standard input, for a HAProxy on another
            host; (): the map's file is on this host.
    """

    name: str
    socket: str
    persist: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class HaproxyOptions(SiteOptions):
    """How HAProxy is set up.

    Attributes:
        config: where the rendered configuration goes.
        map: file of the split, as HAProxy reads it at its start.
        bind_socket: the `stats socket` address in the configuration.
        endpoints: every HAProxy that is switched; one on this host unless hosts are listed.
        reload: command that reloads it; (): SIGUSR2 to the master in `pid_file`.
    """

    config: Path
    map: Path
    bind_socket: str
    endpoints: tuple[Endpoint, ...]
    program: str = "haproxy"
    pid_file: Path | None = None
    reload: tuple[str, ...] = ()
    certificate: Path | None = None
    user: str | None = None
    group: str | None = None
    hard_stop_seconds: int = 0


def read_options(table: Table) -> HaproxyOptions:
    """The options of the table.

    Raises:
        ConfigurationError: a key is unknown, missing, or not of the form that HAProxy takes.
    """
    shared = site.read_site(table)
    state = shared["state"]
    local = _socket(table, "socket", str(state / "haproxy.sock"))
    options = HaproxyOptions(
        **shared,
        config=site.plain(table, "config", table.path("config", state / "haproxy.cfg")),
        map=site.plain(table, "map", table.path("map", state / "split.map")),
        bind_socket=_socket(table, "bind_socket", local),
        endpoints=_endpoints(table.table("hosts")) or (Endpoint(name="haproxy", socket=local),),
        program=table.text("program", "haproxy"),
        pid_file=table.path("pid_file", None),
        reload=table.texts("reload", ()),
        certificate=site.plain_or_none(table, "certificate"),
        user=_word(table, "user"),
        group=_word(table, "group"),
        hard_stop_seconds=table.integer("hard_stop_seconds", 0, least=0),
    )
    table.done()
    return options


def _endpoints(hosts: Table) -> tuple[Endpoint, ...]:
    found = []
    for name in hosts.keys():  # noqa: SIM118 - no dict
        host = hosts.table(name)
        socket = _socket(host, "socket")
        found.append(Endpoint(name=name, socket=socket, persist=host.texts("persist", ())))
        host.done()
    return tuple(found)


def _socket(table: Table, key: str, default: str | None = None) -> str:
    value = table.text(key) if default is None else table.text(key, default)
    if _HOST_PORT.fullmatch(value):
        return value
    path = (table.file.parent / Path(value).expanduser()).absolute()
    return str(site.plain(table, key, path))


def _word(table: Table, key: str) -> str | None:
    value = table.text(key, None)
    return value if value is None else site.matching(table, key, value, _NAME, "'haproxy'")
