"""Code that runs in clients: mina-stream.js for pages, and the same for Python.

Needs the extra `client`, and nothing of the server's half. For asyncio there is
`moving_async.AsyncMovingClient`, which needs the extra `async-client`.
"""

from __future__ import annotations

from mina_ops.app.clients.held import BacklogFull
from mina_ops.app.clients.moving import MovingClient
from mina_ops.app.clients.stream import Rejected, StreamClient

__all__ = ["BacklogFull", "MovingClient", "Rejected", "StreamClient"]
