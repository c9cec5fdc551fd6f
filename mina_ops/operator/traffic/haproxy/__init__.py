"""HAProxy: a switch is one committed version of a runtime map, whose file is written first."""

from __future__ import annotations

from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.traffic.base import TrafficDriver
from mina_ops.operator.traffic.fleet import together
from mina_ops.operator.traffic.haproxy.driver import HaproxyDriver
from mina_ops.operator.traffic.haproxy.options import read_options


def open_driver(settings: OperatorSettings) -> TrafficDriver:
    """The driver for `[traffic.haproxy]`: one HAProxy, or all that `hosts` lists as one."""
    options = read_options(settings.section("traffic", "haproxy"))
    return together(
        "haproxy", [HaproxyDriver(settings, options, endpoint) for endpoint in options.endpoints]
    )
