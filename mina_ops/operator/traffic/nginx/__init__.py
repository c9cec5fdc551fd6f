"""nginx: a switch is one atomic rename, without a reload."""

from __future__ import annotations

from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.traffic.base import TrafficDriver
from mina_ops.operator.traffic.nginx.driver import NginxDriver
from mina_ops.operator.traffic.nginx.options import read_options
from mina_ops.operator.traffic.remote import remotes


def open_driver(settings: OperatorSettings) -> TrafficDriver:
    """The driver for `[traffic.nginx]`: the nginx of this host, or all that `hosts` lists.

    Raises:
        ConfigurationError: the table cannot be used.
    """
    table = settings.section("traffic", "nginx")
    if "hosts" in table:
        return remotes("nginx", table)
    return NginxDriver(settings, read_options(table))
