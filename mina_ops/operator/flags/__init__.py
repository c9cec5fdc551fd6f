"""Flags as the operator's half sees them: an app's admin endpoints, and a rollout over time."""

from __future__ import annotations

from mina_ops.operator.flags.client import FlagsClient, open_client

__all__ = ["FlagsClient", "open_client"]
