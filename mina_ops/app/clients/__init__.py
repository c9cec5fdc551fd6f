"""Code that runs in clients: mina-stream.js for pages, and the same for Python.

Needs `python-socketio[client]`, and nothing of the server's half.
"""

from __future__ import annotations

from mina_ops.app.clients.moving import MovingClient
from mina_ops.app.clients.stream import Rejected, StreamClient

__all__ = ["MovingClient", "Rejected", "StreamClient"]
