"""Traffic: which colour gets which share, and the load balancers that make it so."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mina_ops.operator.config.settings import OperatorSettings
    from mina_ops.operator.traffic.base import TrafficDriver


def open_driver(settings: OperatorSettings) -> TrafficDriver:
    """The driver that `[traffic] driver` names, with its own table read; does no I/O.

    Raises:
        ConfigurationError: the driver's table cannot be used.
    """
    if settings.driver == "nginx":
        from mina_ops.operator.traffic import nginx

        return nginx.open_driver(settings)
    if settings.driver == "haproxy":
        from mina_ops.operator.traffic import haproxy

        return haproxy.open_driver(settings)
    if settings.driver == "envoy":
        from mina_ops.operator.traffic import envoy

        return envoy.open_driver(settings)
    if settings.driver == "gateway":
        from mina_ops.operator.traffic import gateway

        return gateway.open_driver(settings)
    from mina_ops.operator.traffic import command

    return command.open_driver(settings)
