"""Two apps in one process under a DispatcherMiddleware; the main one has mina_ops."""

from __future__ import annotations

from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from tests.hosts.host import Add

PAGES = ("/", "/shop/", "/shop/nowhere")


def build(add: Add) -> Flask:
    """The main app, with a shop below it."""
    app, shop = Flask(__name__), Flask("shop")
    app.add_url_rule("/", "greet", lambda: "hello")
    shop.add_url_rule("/", "greet", lambda: "the shop")
    add(app)
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/shop": shop})  # type: ignore[method-assign]
    return app
