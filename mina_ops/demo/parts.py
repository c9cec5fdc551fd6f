"""What the demo's views and handlers share, kept with its app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import current_app
from flask_socketio import SocketIO

from mina_ops.demo.insights import Insights
from mina_ops.demo.ledger import Ledger

if TYPE_CHECKING:
    from mina_ops import MinaOps

KEY = "demo"


@dataclass(frozen=True)
class Parts:
    """The parts of one demo app."""

    ops: MinaOps
    socketio: SocketIO
    ledger: Ledger
    insights: Insights


def parts() -> Parts:
    """The current app's parts; needs an app context."""
    return cast(Parts, current_app.extensions[KEY])
