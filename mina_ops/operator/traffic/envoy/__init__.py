"""Envoy: a switch is one renamed file of routes, which Envoy reads without a reload."""

from __future__ import annotations

from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.traffic.base import TrafficDriver
from mina_ops.operator.traffic.envoy.driver import EnvoyDriver
from mina_ops.operator.traffic.remote import remotes


def open_driver(settings: OperatorSettings) -> TrafficDriver:
    """The driver for `[traffic.envoy]`: the Envoy of this host, or all that `hosts` lists.

    Raises:
        ConfigurationError: the table cannot be used.
    """
    table = settings.section("traffic", "envoy")
    if "hosts" in table:
        return remotes("envoy", table)
    return EnvoyDriver.from_settings(settings)
