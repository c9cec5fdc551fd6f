"""Kubernetes' Gateway API: a switch is one patch of an HTTPRoute."""

from __future__ import annotations

from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.traffic.base import TrafficDriver
from mina_ops.operator.traffic.gateway.driver import GatewayDriver


def open_driver(settings: OperatorSettings) -> TrafficDriver:
    """The driver for `[traffic.gateway]`; does no I/O.

    Raises:
        ConfigurationError: the table cannot be used.
    """
    return GatewayDriver.from_settings(settings)
