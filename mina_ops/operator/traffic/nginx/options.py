"""The table `[traffic.nginx]` of mina-ops.toml."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from mina_ops.operator.config.tables import Table
from mina_ops.operator.traffic import site
from mina_ops.operator.traffic.site import SiteOptions

_SERVER_NAMES = re.compile(r"[A-Za-z0-9.*_ -]+")
_SIZE = re.compile(r"[0-9]+[kKmMgG]?")


@dataclass(frozen=True, kw_only=True)
class NginxOptions(SiteOptions):
    """How one nginx is set up.

    Attributes:
        config: where the rendered configuration goes, included inside `http { }`.
        control: loopback address where nginx answers what it really does.
        program: nginx itself; `main` and `prefix` are its -c and -p, where not the built-in ones.
        test, reload: commands in the place of `nginx -t` and `nginx -s reload`.
    """

    config: Path
    control: str
    server_name: str = "_"
    program: str = "nginx"
    main: Path | None = None
    prefix: Path | None = None
    test: tuple[str, ...] = ()
    reload: tuple[str, ...] = ()
    certificate: Path | None = None
    certificate_key: Path | None = None
    access_log: Path | None = None
    max_body: str = "16m"

    @property
    def control_address(self) -> tuple[str, int]:
        """Host and port of the control address."""
        host, _, port = self.control.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def user_variable(self) -> str:
        """nginx's name for the header or cookie with the user id."""
        return _variable(self.user_header, self.user_cookie)

    @property
    def key_variable(self) -> str:
        """nginx's name for the header or cookie with the second key; "" where there is none."""
        return _variable(self.key_header, self.key_cookie)


def _variable(header: str | None, cookie: str | None) -> str:
    if cookie:
        return f"cookie_{cookie}"
    return "http_" + header.lower().replace("-", "_") if header else ""


def read_options(table: Table) -> NginxOptions:
    """The options of the table.

    Raises:
        ConfigurationError: a key is unknown, missing, or not of the form that nginx takes.
    """
    shared = site.read_site(table)
    options = NginxOptions(
        **shared,
        config=site.plain(table, "config", table.path("config", shared["state"] / "mina.conf")),
        control=_control(table),
        server_name=site.matching(table, "server_name", "_", _SERVER_NAMES, "'mina.example.com'"),
        program=table.text("program", "nginx"),
        main=table.path("main", None),
        prefix=table.path("prefix", None),
        test=table.texts("test", ()),
        reload=table.texts("reload", ()),
        certificate=site.plain_or_none(table, "certificate"),
        certificate_key=site.plain_or_none(table, "certificate_key"),
        access_log=site.plain_or_none(table, "access_log"),
        max_body=site.matching(table, "max_body", "16m", _SIZE, "a size such as '16m'"),
    )
    if (options.certificate is None) != (options.certificate_key is None):
        raise table.wrong("certificate", "give certificate and certificate_key, or neither.")
    if options.control.rpartition(":")[2] == options.listen.rpartition(":")[2]:
        # On one port nginx would send what is meant for the control server to the site.
        raise table.wrong("control", f"{options.control!r} must have another port than the site.")
    table.done()
    return options


def _control(table: Table) -> str:
    value = site.address(table, "control", "127.0.0.1:9180")
    host = value.rpartition(":")[0].strip("[]")
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise table.wrong("control", f"{value!r} must be on loopback, as '127.0.0.1:9180'.")
    return value
