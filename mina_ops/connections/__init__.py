"""Who is connected to this process and its colour, and what comes through the door."""

from __future__ import annotations

from mina_ops.connections.part import Connections

__all__ = ["Connections"]
