"""nginx: a switch is one atomic rename, without a reload."""

from __future__ import annotations

from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.config.tables import Table
from mina_ops.operator.traffic.base import TrafficDriver
from mina_ops.operator.traffic.fleet import together
from mina_ops.operator.traffic.nginx.driver import NginxDriver
from mina_ops.operator.traffic.nginx.options import read_options
from mina_ops.operator.traffic.remote import RemoteDriver


def open_driver(settings: OperatorSettings) -> TrafficDriver:
    """The driver for `[traffic.nginx]`: the nginx of this host, or all that `hosts` lists.

    Raises:
        ConfigurationError: the table cannot be used.
    """
    table = settings.section("traffic", "nginx")
    if "hosts" not in table:
        return NginxDriver(settings, read_options(table))
    hosts = table.table("hosts")
    table.done()
    return together("nginx", [_remote(hosts, name) for name in hosts.keys()])  # noqa: SIM118


def _remote(hosts: Table, name: str) -> RemoteDriver:
    argv = hosts.texts(name)
    if not argv:
        raise hosts.wrong(name, "give the command that runs mina-ops there, as a list.")
    return RemoteDriver(name, argv)
