"""Moving every live conversation of a colour away, without losing a part of it."""

from __future__ import annotations

from mina_ops.app.drain.component import Drain

__all__ = ["Drain"]
