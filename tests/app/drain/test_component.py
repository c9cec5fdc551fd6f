"""Orders that change while this process reads them."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
from flask import Flask
from flask_socketio import SocketIO

from mina_ops import MinaOps
from mina_ops.app.admin.auth import Author
from mina_ops.app.drain.model import Order


def test_an_order_that_is_taken_back_while_it_is_read_is_not_obeyed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = Flask(__name__)
    app.config.update(MINA_OPS_DRAIN_ON_SIGTERM=False, ENVIRONMENT="blue")
    ops = MinaOps(app, socketio=SocketIO(app, async_mode="threading"))
    drain, author = ops.drain, Author("a test")
    # Else there would be nobody left, and the order over at once.
    hold = ops.hold("work", "of a test")
    try:
        with app.app_context():
            drain.begin(author, grace_seconds=60)
            read_all = drain._orders.read_all

            def overtaken(found: Mapping[str, bytes] | None) -> dict[str, Order | None]:
                read = read_all(found)
                drain.cancel(author)
                return read

            monkeypatch.setattr(drain._orders, "read_all", overtaken)
            drain._follow_store(time.time())
            assert drain.order is None
            assert drain.status()["state"] == "serving"
    finally:
        hold.release()
        ops.runtime.close()
