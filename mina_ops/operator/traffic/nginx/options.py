"""The table `[traffic.nginx]` of mina-ops.toml."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from mina_ops.fields import PATH, TEXT, TEXTS, Form, setting
from mina_ops.operator.config.tables import Table
from mina_ops.operator.traffic import site
from mina_ops.operator.traffic.site import PLAIN, MirroringOptions, is_address

_SERVER_NAMES = re.compile(r"[A-Za-z0-9.*_ -]+")
_SIZE = re.compile(r"[0-9]+[kKmMgG]?")


def _is_loopback(text: str) -> bool:
    host = text.rpartition(":")[0].strip("[]")
    try:
        return is_address(text) and ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, kw_only=True)
class NginxOptions(MirroringOptions):
    """How one nginx is set up."""

    config: Path = setting(
        None,
        PATH,
        "what `install` writes, included inside `http { }`",
        shown="`<state>/mina.conf`",
        form=PLAIN,
    )
    control: str = setting(
        "127.0.0.1:9180",
        TEXT,
        "loopback address where nginx tells what it really does",
        form=Form(_is_loopback, "be on loopback, as '127.0.0.1:9180'"),
    )
    server_name: str = setting(
        "_",
        TEXT,
        "nginx's `server_name`",
        form=Form(_SERVER_NAMES.fullmatch, "look like 'mina.example.com'"),
    )
    program: str = setting("nginx", TEXT, "nginx itself")
    main: Path | None = setting(None, PATH, "its `-c`", shown="nginx's own")
    prefix: Path | None = setting(None, PATH, "its `-p`", shown="nginx's own")
    test: tuple[str, ...] = setting((), TEXTS, "command that tests it", shown="`nginx -t`")
    reload: tuple[str, ...] = setting(
        (),
        TEXTS,
        'command that reloads it, as `["sudo", "systemctl", "reload", "nginx"]`',
        shown="`nginx -s reload`",
    )
    certificate: Path | None = setting(None, PATH, "TLS, with the next one", form=PLAIN)
    certificate_key: Path | None = setting(None, PATH, "the certificate's key", form=PLAIN)
    access_log: Path | None = setting(None, PATH, "a file, in the combined format", form=PLAIN)
    max_body: str = setting(
        "16m",
        TEXT,
        "the largest body of a request",
        form=Form(_SIZE.fullmatch, "look like a size such as '16m'"),
    )

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
    options = site.fill(table, NginxOptions, **site.in_state(table, "config", "mina.conf"))
    site.require_both(table, options.certificate, options.certificate_key)
    if options.control.rpartition(":")[2] == options.listen.rpartition(":")[2]:
        # On one port nginx would send what is meant for the control server to the site.
        raise table.wrong("control", f"{options.control!r} must have another port than the site.")
    return options
