"""`mina-ops config`: check the whole of mina-ops.toml, and explain its keys."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from mina_ops.cli import output
from mina_ops.cli.session import Session
from mina_ops.errors import ConfigurationError

if TYPE_CHECKING:
    from mina_ops.operator.config.settings import OperatorSettings


@click.group(name="config")
def command() -> None:
    """mina-ops.toml: check all of it, show what its keys mean."""


@command.command()
@output.json_option
@click.pass_obj
def check(session: Session) -> None:
    """Read every table; a sentence for each that cannot be used, and exit 2.

    Other commands read only the tables that they need.
    """
    settings = session.settings
    found = problems(settings)
    text = "\n".join(found) or f"{settings.file}: nothing is wrong with it."
    output.data({"file": settings.file, "problems": found}, text)
    if found:
        raise ConfigurationError(f"{len(found)} thing(s) to correct in {settings.file}.")


def problems(settings: OperatorSettings) -> list[str]:
    """A sentence for each table of the file that cannot be used; [] if nothing is wrong."""
    found = []
    for read in _readers().values():
        try:
            read(settings)
        except ConfigurationError as error:
            found.append(str(error))
    found += [
        f"{settings.file}: {name}: unknown table; nobody reads it."
        for name in settings.unknown_tables()
        if not any(f": {name}: " in problem for problem in found)
    ]
    return list(dict.fromkeys(found))


@command.command()
@click.argument("table", required=False)
def keys(table: str | None) -> None:
    """What the keys of TABLE mean; without one, the names of the tables."""
    from mina_ops.fields import markdown

    known = declarations()
    if table is None:
        click.echo("\n".join(known))
        return
    if table not in known:
        raise ConfigurationError(f"No table {table!r}; there are {', '.join(known)}.")
    click.echo(markdown(known[table]))


def declarations() -> Mapping[str, Any]:
    """Table of mina-ops.toml -> the class that declares its keys."""
    from mina_ops.operator.checklist.postflight import PostflightOptions
    from mina_ops.operator.checklist.preflight import PreflightOptions
    from mina_ops.operator.config.colours import ColourOptions
    from mina_ops.operator.config.incident import IncidentOptions, SecretOptions
    from mina_ops.operator.config.settings import TokenOptions
    from mina_ops.operator.config.smoke import SmokeOptions
    from mina_ops.operator.database.connection.options import DatabaseOptions
    from mina_ops.operator.notify.channels import ChannelOptions, NotifyOptions
    from mina_ops.operator.release.plan import Plan
    from mina_ops.operator.release.verdicts.model import Triggers
    from mina_ops.operator.traffic.command import CommandOptions
    from mina_ops.operator.traffic.envoy.options import EnvoyOptions
    from mina_ops.operator.traffic.gateway.options import GatewayOptions
    from mina_ops.operator.traffic.haproxy.options import HaproxyOptions
    from mina_ops.operator.traffic.nginx.options import NginxOptions

    return {
        "token": TokenOptions,
        "colours": ColourOptions,
        "traffic.nginx": NginxOptions,
        "traffic.haproxy": HaproxyOptions,
        "traffic.envoy": EnvoyOptions,
        "traffic.gateway": GatewayOptions,
        "traffic.command": CommandOptions,
        "notify": NotifyOptions,
        "notify.channels": ChannelOptions,
        "database": DatabaseOptions,
        "release": Plan,
        "release.triggers": Triggers,
        "preflight": PreflightOptions,
        "postflight": PostflightOptions,
        "smoke": SmokeOptions,
        "incident": IncidentOptions,
        "incident.secrets": SecretOptions,
    }


def _readers() -> Mapping[str, Callable[[OperatorSettings], Any]]:
    """Table of mina-ops.toml -> what reads it, as the commands do that need it."""
    from mina_ops.operator.config import incident, smoke
    from mina_ops.operator.notify import channels
    from mina_ops.operator.release import plan
    from mina_ops.operator.traffic import open_driver

    def filled(name: str) -> Callable[[OperatorSettings], Any]:
        return lambda settings: settings.section(name).fill(declarations()[name])

    return {
        "public": lambda settings: settings.public_url,
        "token": filled("token"),
        "colours": lambda settings: settings.colours,
        "traffic": open_driver,
        "release": plan.read,
        "database": filled("database"),
        "notify": lambda settings: channels.from_table(settings.section("notify")),
        "incident": lambda settings: incident.read(settings.section("incident")),
        "preflight": filled("preflight"),
        "postflight": filled("postflight"),
        "smoke": lambda settings: smoke.read(settings.section("smoke"), os.environ),
    }
