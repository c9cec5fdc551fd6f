"""`mina-ops.toml`: what the operator's half knows about the colours, and where the file is found.

Colours, the public address, the token and the choice of a traffic driver are read here. Every
other table belongs to the part that uses it, which reads `settings.section("...")` itself.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from mina_ops.errors import ConfigurationError
from mina_ops.operator.config.tables import Table

FILE_NAME = "mina-ops.toml"
CONFIG_VARIABLE = "MINA_OPS_CONFIG"
TOKEN_VARIABLE = "MINA_OPS_TOKEN"  # noqa: S105 - the variable's name, not a token
DRIVERS = ("nginx", "haproxy", "command")
SECTIONS = ("release", "database", "notify", "incident", "preflight", "postflight", "watch", "demo")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):([0-9]{1,5})")


@dataclass(frozen=True)
class Colour:
    """One colour: where it answers, and which processes it is made of.

    `instances` maps an instance's name, which tags its session ids, to `host:port`. `own_probes`
    says that the file lists them, so that each can be asked for itself.
    """

    name: str
    url: str
    instances: Mapping[str, str]
    aliases: tuple[str, ...] = ()
    version: str | None = None
    own_probes: bool = True


@dataclass(frozen=True)
class OperatorSettings:
    """The whole file, read and checked; immutable.

    `colours` keeps the order of the file; its first colour takes traffic until told otherwise.
    """

    file: Path
    public_url: str
    colours: Mapping[str, Colour]
    driver: str
    token_variable: str = TOKEN_VARIABLE
    token_file: Path | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def colour(self, name: str) -> Colour:
        """The colour of that name or alias.

        Raises:
            ConfigurationError: there is none; the message lists those that are.
        """
        for colour in self.colours.values():
            if name == colour.name or name in colour.aliases:
                return colour
        known = " and ".join(self.colours)
        raise ConfigurationError(f"No colour {name!r} in {self.file}; it has {known}.")

    def other(self, name: str) -> Colour:
        """The colour that is not this one."""
        mine = self.colour(name).name
        return next(colour for colour in self.colours.values() if colour.name != mine)

    def section(self, *names: str) -> Table:
        """A table of the file by its path, as `section("traffic", "nginx")`; empty if absent."""
        table = Table(self.file, "", self.raw)
        for name in names:
            table = table.table(name)
        return table

    def token(self, environ: Mapping[str, str] | None = None) -> str | None:
        """The bearer token for the admin endpoints, or None where none is set up.

        The environment variable wins over the file.

        Raises:
            ConfigurationError: the token file cannot be read, or is empty.
        """
        environ = os.environ if environ is None else environ
        if value := environ.get(self.token_variable, "").strip():
            return value
        if self.token_file is None:
            return None
        try:
            value = self.token_file.read_text().strip()
        except OSError as exc:
            raise ConfigurationError(
                f"{self.file}: token.file: cannot read {self.token_file} ({exc.strerror}); "
                f"create it or set {self.token_variable}."
            ) from exc
        if not value:
            raise ConfigurationError(f"{self.file}: token.file: {self.token_file} is empty.")
        return value


def find(explicit: str | None = None, environ: Mapping[str, str] | None = None) -> Path:
    """The file to use: `explicit`, else `MINA_OPS_CONFIG`, else `./mina-ops.toml`.

    Raises:
        ConfigurationError: it does not exist.
    """
    environ = os.environ if environ is None else environ
    named = explicit or environ.get(CONFIG_VARIABLE)
    path = Path(named or FILE_NAME).expanduser().absolute()
    if path.is_file():
        return path
    if named:
        raise ConfigurationError(f"No configuration file {path}; check --config.")
    raise ConfigurationError(
        f"No {FILE_NAME} in {path.parent}; give --config PATH or set {CONFIG_VARIABLE}."
    )


def load(path: Path) -> OperatorSettings:
    """The settings in a file.

    Raises:
        ConfigurationError: it cannot be read or parsed, a key is unknown, missing or of the
            wrong type; the message names the file and the key and says what would be right.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc.strerror}.") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path} is not valid TOML: {exc}.") from exc
    return parse(raw, path)


def parse(raw: Mapping[str, Any], path: Path) -> OperatorSettings:
    """The settings in a parsed file; `path` is its name in messages. Raises as `load` does."""
    top = Table(path, "", raw)
    public = top.table("public", required=True)
    public_url = _url(public, "url")
    public.done()
    token = top.table("token")
    token_variable, token_file = token.text("env", TOKEN_VARIABLE), token.path("file", None)
    token.done()
    colours = _colours(top.table("colours", required=True))
    driver = top.table("traffic", required=True).choice("driver", DRIVERS)
    top.ignore(*SECTIONS)
    top.done()
    return OperatorSettings(
        file=path,
        public_url=public_url,
        colours=colours,
        driver=driver,
        token_variable=token_variable,
        token_file=token_file,
        raw=raw,
    )


def _colours(table: Table) -> Mapping[str, Colour]:
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
    url = _url(table, "url")
    listed = table.table("instances")
    _refuse_alike(listed, listed.keys())
    instances = {key: _address(listed, key) for key in listed.keys()}  # noqa: SIM118 - no dict
    colour = Colour(
        name=name,
        url=url,
        instances=MappingProxyType(instances or {"0": _netloc(url)}),
        aliases=table.texts("aliases", (f"mina-{name}",)),
        version=table.text("version", None),
        own_probes=bool(instances),
    )
    table.done()
    return colour


def _refuse_alike(table: Table, names: list[str]) -> None:
    # nginx does not tell upstreams apart whose names differ in case alone.
    if len({name.lower() for name in names}) < len(names):
        raise table.wrong(names[-1], "names must differ in more than upper and lower case.")


def _url(table: Table, key: str) -> str:
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
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _address(table: Table, key: str) -> str:
    if not _NAME.fullmatch(key):
        raise table.wrong(key, "an instance's name has up to 32 letters, digits, '-' and '_'.")
    value = table.text(key)
    match = _ADDRESS.fullmatch(value)
    if not match or not 0 < int(match[2]) < 65536:
        raise table.wrong(key, f"{value!r} must be 'host:port', as '127.0.0.1:8001'.")
    return value
