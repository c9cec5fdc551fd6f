"""Is this process fit to serve? Checks beside requests, probes below Flask."""

from __future__ import annotations

from mina_ops.app.health.model import CannotTell, Unhealthy, Warned

__all__ = ["CannotTell", "Unhealthy", "Warned"]
