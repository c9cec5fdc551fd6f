"""Health: checks that run beside requests, and probes that are answered below Flask."""

from __future__ import annotations

from mina_ops.app.health.model import CannotTell, Unhealthy, Warned

__all__ = ["CannotTell", "Unhealthy", "Warned"]
