"""Who is connected to this process and its colour, and what comes through the door."""

from __future__ import annotations

from mina_ops.app.sessions.component import Connections

__all__ = ["Connections"]
