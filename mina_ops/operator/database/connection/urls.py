"""Database URLs in every form that SQLAlchemy takes, and what they say to libpq's programs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from mina_ops.errors import ConfigurationError, ToolMissing

_DRIVERS = ("psycopg", "psycopg2")
# The variables of libpq that are not PG and the option's name. Source: its manual, "Environment
# Variables".
_VARIABLES = {
    "dbname": "PGDATABASE",
    "application_name": "PGAPPNAME",
    "connect_timeout": "PGCONNECT_TIMEOUT",
}
# Options of drivers that are none of libpq's.
_OF_DRIVERS = {"prepare_threshold", "autocommit", "async_fallback", "ssl", "command_timeout"}


def read(url: str, what: str = "The URL") -> URL:
    """A database URL, PostgreSQL's with a driver that is installed here.

    Raises:
        ConfigurationError: it is no URL of PostgreSQL or SQLite.
        ToolMissing: no driver for PostgreSQL is installed.
    """
    try:
        parsed = make_url(re.sub(r"^postgres(?=[:+])", "postgresql", url.strip()))
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError, NoSuchModuleError) as exc:
        raise ConfigurationError(f"{what} is not a database URL.") from exc
    if backend not in ("postgresql", "sqlite"):
        raise ConfigurationError(f"{what} names {backend}; PostgreSQL and SQLite are supported.")
    if backend == "sqlite":
        return URL.create("sqlite", database=_file(parsed), query=parsed.query)
    if not parsed.database and "dbname" not in parsed.query and "service" not in parsed.query:
        raise ConfigurationError(f"{what} names no database.")
    return _for_driver(parsed)


def libpq_options(url: URL) -> dict[str, str]:
    """What SQLAlchemy would tell libpq for a URL: host, port, user, sslmode and all others."""
    _, found = url.get_dialect()().create_connect_args(url)
    return {name: str(value) for name, value in found.items() if value not in (None, "")}


def environment(options: Mapping[str, str]) -> dict[str, str]:
    """Options of libpq as the environment variables that its programs read."""
    return {
        _VARIABLES.get(name, "PG" + name.replace("_", "").upper()): value
        for name, value in options.items()
    }


def from_environment(variable: str, environ: Mapping[str, str] | None = None) -> URL:
    """The URL that an environment variable holds.

    Raises:
        ConfigurationError: the variable is not set, or holds no such URL.
    """
    value = (os.environ if environ is None else environ).get(variable, "").strip()
    if not value:
        raise ConfigurationError(f"{variable} is not set; give it the database's URL.")
    return read(value, variable)


def _for_driver(url: URL) -> URL:
    """The URL for a driver that speaks through libpq, whichever one the host uses."""
    host = unquote(url.host) if url.host and url.host.lower().startswith("%2f") else url.host
    query: dict[str, Any] = {k: v for k, v in url.query.items() if k not in _OF_DRIVERS}
    if "ssl" in url.query and "sslmode" not in query:
        query["sslmode"] = url.query["ssl"]
    return url.set(drivername=f"postgresql+{_driver(url)}", host=host, query=query)


def _driver(url: URL) -> str:
    given = url.drivername.partition("+")[2]
    for name in (given, *_DRIVERS):
        if name in _DRIVERS and find_spec(name):
            return name
    raise ToolMissing("No driver for PostgreSQL is installed. pip install 'psycopg[binary]'.")


def _file(url: URL) -> str | None:
    """The path of an SQLite URL, also of the form `file:PATH?mode=ro&uri=true`."""
    path = url.database
    if path and path.startswith("file:"):
        return unquote(urlsplit(path).path)
    return str(Path(path)) if path and path != ":memory:" else path
