"""The table `[traffic.haproxy]` of mina-ops.toml."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mina_ops.fields import PATH, TEXT, TEXT_OR_NONE, TEXTS, WHOLE, Form, setting
from mina_ops.operator.config.tables import Table
from mina_ops.operator.traffic import site
from mina_ops.operator.traffic.site import PLAIN, SiteOptions

_HOST_PORT = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")
_WORD = Form(re.compile(r"[a-z_][a-z0-9_-]{0,31}").fullmatch, "look like 'haproxy'")


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
        endpoints: every HAProxy that is switched; one on this host unless hosts are listed.
    """

    config: Path = setting(
        None, PATH, "what `install` writes", shown="`<state>/haproxy.cfg`", form=PLAIN
    )
    map: Path = setting(
        None,
        PATH,
        "file of the split, as HAProxy reads it at its start",
        shown="`<state>/split.map`",
        form=PLAIN,
    )
    socket: str = setting(
        None, TEXT, "the admin socket: a path, or `host:port`", shown="`<state>/haproxy.sock`"
    )
    bind_socket: str = setting(
        None, TEXT, "the `stats socket` in the configuration", shown="as `socket`"
    )
    program: str = setting("haproxy", TEXT, "HAProxy itself")
    pid_file: Path | None = setting(None, PATH, "file with the process id of its master")
    reload: tuple[str, ...] = setting(
        (), TEXTS, "command that reloads it", shown="SIGUSR2 to the master in `pid_file`"
    )
    certificate: Path | None = setting(
        None, PATH, "TLS: a file with certificate and key", form=PLAIN
    )
    user: str | None = setting(None, TEXT_OR_NONE, "who its processes run as", form=_WORD)
    group: str | None = setting(None, TEXT_OR_NONE, "with which group", form=_WORD)
    hard_stop_seconds: int = setting(
        0,
        WHOLE,
        "how long processes that were replaced may serve on; 0: until their last session ends",
        "seconds",
        least=0,
    )
    endpoints: tuple[Endpoint, ...] = ()


def read_options(table: Table) -> HaproxyOptions:
    """The options of the table.

    Raises:
        ConfigurationError: a key is unknown, missing, or not of the form that HAProxy takes.
    """
    local = _socket(table, "socket", str(table.path("state") / "haproxy.sock"))
    return site.fill(
        table,
        HaproxyOptions,
        **site.in_state(table, "config", "haproxy.cfg"),
        **site.in_state(table, "map", "split.map"),
        socket=local,
        bind_socket=_socket(table, "bind_socket", local),
        endpoints=_endpoints(table.table("hosts")) or (Endpoint(name="haproxy", socket=local),),
    )


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
    path = str((table.file.parent / Path(value).expanduser()).absolute())
    if not PLAIN.fits(path):
        raise table.wrong(key, f"{path!r} must {PLAIN.words}.")
    return path
