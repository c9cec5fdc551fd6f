"""mina_ops: switch a live Flask + Socket.IO app from one colour to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mina_ops.errors import MinaOpsError

if TYPE_CHECKING:
    from mina_ops.app.extension import MinaOps

__all__ = ["MinaOps", "MinaOpsError"]


def __getattr__(name: str) -> Any:
    """Import the app's half when it is used: the operator's half must start without it."""
    if name == "MinaOps":
        from mina_ops.app.extension import MinaOps

        return MinaOps
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
