"""Leases: one controller at a time for one thing, such as the traffic of this site."""

from __future__ import annotations

from mina_ops.app.leases.component import Leases

__all__ = ["Leases"]
