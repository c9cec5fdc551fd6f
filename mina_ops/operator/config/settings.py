"""`mina-ops.toml`: what the operator's half knows about the colours, and where the file is found.

The file is parsed at once; a table is read when somebody asks for it. So a mistake in one table
stops only the commands that need that table: with a typo in `[notify]` traffic still goes back,
and a file that holds `[database]` alone serves `mina-ops db`. `mina-ops config check` reads all.
"""

from __future__ import annotations

import difflib
import logging
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mina_ops.errors import ConfigurationError
from mina_ops.fields import PATH, TEXT, setting
from mina_ops.operator.config import colours as colours_table
from mina_ops.operator.config.colours import Colour
from mina_ops.operator.config.tables import Table

_log = logging.getLogger(__name__)

FILE_NAME = "mina-ops.toml"
CONFIG_VARIABLE = "MINA_OPS_CONFIG"
TOKEN_VARIABLE = "MINA_OPS_TOKEN"  # noqa: S105 - the variable's name, not a token
DRIVERS = ("nginx", "haproxy", "envoy", "gateway", "command")
TABLES = (
    *("public", "token", "colours", "traffic", "release", "database", "notify", "incident"),
    *("preflight", "postflight", "smoke", "watch", "demo"),
)
"""The tables that a file may hold."""


@dataclass(frozen=True)
class TokenOptions:
    """Where the operator's own bearer token is."""

    # fmt: off
    env: str = setting(TOKEN_VARIABLE, TEXT,
        "Variable with the token.")
    file: Path | None = setting(None, PATH,
        "File with the token, used where the variable is not set.")
    # fmt: on


@dataclass(frozen=True)
class OperatorSettings:
    """One file; its tables are read, and checked, when they are asked for.

    Each property raises ConfigurationError where its table cannot be used; the message names the
    file and the key, and says what would be right.
    """

    file: Path
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def public_url(self) -> str:
        """The address that users see."""
        table = self._top().table("public", required=True)
        url = colours_table.read_url(table, "url")
        table.done()
        return url

    @cached_property
    def colours(self) -> Mapping[str, Colour]:
        """Both, in the order of the file; the first takes traffic until told otherwise."""
        return colours_table.read(self._top().table("colours", required=True))

    @cached_property
    def driver(self) -> str:
        """The name of the traffic driver."""
        return self._top().table("traffic", required=True).choice("driver", DRIVERS)

    @cached_property
    def _token(self) -> TokenOptions:
        return self.section("token").fill(TokenOptions)

    @property
    def token_variable(self) -> str:
        """The variable with the operator's token."""
        return self._token.env

    @property
    def token_file(self) -> Path | None:
        """The file with the operator's token, if one is named."""
        return self._token.file

    @cached_property
    def token_file_is_open(self) -> bool:
        """Whether others than its owner can read the token's file."""
        file = self._token.file
        return file is not None and file.exists() and bool(file.stat().st_mode & 0o077)

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
        """A table of the file by its path, as `section("traffic", "nginx")`; empty if absent.

        Raises:
            ConfigurationError: it is absent, and the file has one whose name is nearly the same.
        """
        table = self._top()
        if names[0] not in table:
            near = difflib.get_close_matches(names[0], self.unknown_tables(), n=1)
            if near:
                raise table.wrong(near[0], f"unknown table. Did you mean {names[0]!r}?")
        for name in names:
            table = table.table(name)
        return table

    def unknown_tables(self) -> list[str]:
        """Names at the top of the file that nobody reads."""
        return [name for name in self.raw if name not in TABLES]

    def token(self, environ: Mapping[str, str] | None = None) -> str | None:
        """The bearer token for the admin endpoints, or None where none is set up.

        The environment variable wins over the file, and over a table that cannot be read.

        Raises:
            ConfigurationError: the token file cannot be read, or is empty.
        """
        environ = os.environ if environ is None else environ
        try:
            options = self._token
        except ConfigurationError as error:
            if not environ.get(TOKEN_VARIABLE, "").strip():
                raise
            # Once, and no refusal: the way back must not hang on a typo in this table.
            _log.warning("mina-ops: %s Going on with the token in %s.", error, TOKEN_VARIABLE)
            options = self.__dict__["_token"] = TokenOptions()
        if value := environ.get(options.env, "").strip():
            return value
        if options.file is None:
            return None
        try:
            value = options.file.read_text().strip()
        except OSError as exc:
            raise ConfigurationError(
                f"{self.file}: token.file: cannot read {options.file} ({exc.strerror}); "
                f"create it or set {options.env}."
            ) from exc
        if not value:
            raise ConfigurationError(f"{self.file}: token.file: {options.file} is empty.")
        if self.token_file_is_open:
            # Once, and no refusal: the way back must not hang on a file's mode.
            _log.warning("mina-ops: others can read the token: chmod 600 %s", options.file)
            self.__dict__["token_file_is_open"] = False
        return value

    def _top(self) -> Table:
        return Table(self.file, "", self.raw)


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
        ConfigurationError: it cannot be read or is not TOML.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc.strerror}.") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path} is not valid TOML: {exc}.") from exc
    return parse(raw, path)


def parse(raw: Mapping[str, Any], path: Path) -> OperatorSettings:
    """The settings in a parsed file; `path` is its name in messages."""
    return OperatorSettings(path, raw)
