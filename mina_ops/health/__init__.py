"""Is this process fit to serve? Checks beside requests, probes below Flask."""

from __future__ import annotations

from mina_ops.health.model import Unhealthy
from mina_ops.health.part import Health

__all__ = ["Health", "Unhealthy"]
