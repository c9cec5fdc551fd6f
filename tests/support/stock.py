"""Stock python-socketio clients with their default options, all put away at the end of a test."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Self

import socketio
from socketio.exceptions import ConnectionError as NotConnected

from mina_ops.app.clients.links import Links
from tests.support.wait import eventually


class StockClients:
    """Makes clients; leaving it as a context manager ends them, whatever became of them.

    Their options are the default ones. That their connections are made with objects of ours
    (`Links`) changes nothing but that nothing of them is left to the garbage collector.
    """

    def __init__(self) -> None:
        self._running = ExitStack()

    def client(self) -> socketio.Client:
        """A client that is not connected yet."""
        links = Links()
        client = socketio.Client(**links.options)
        self._running.callback(links.end, client)
        return client

    def connect(self, url: str, *transports: str, **more: Any) -> socketio.Client:
        """A client that is connected, tried again for as long as a user would try."""
        client = self.client()

        def tried() -> bool:
            client.connect(url, transports=list(transports) or None, **more)
            return True

        # By default it waits 1 s for its namespaces, and a busy server may take longer.
        eventually(tried, 30, f"nobody is let in at {url}", ignoring=(NotConnected,))
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._running.close()
