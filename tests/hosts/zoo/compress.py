"""Flask-Compress, which rewrites entity tags of what it compresses."""

from __future__ import annotations

from flask import Flask
from flask_compress import Compress  # type: ignore[import-untyped]

from tests.hosts.host import Add

PAGES = ("/",)


def build(add: Add) -> Flask:
    """The host."""
    app = Flask(__name__)
    app.config.update(COMPRESS_MIN_SIZE=0, COMPRESS_EVALUATE_CONDITIONAL_REQUEST=True)
    Compress(app)

    @app.get("/")
    def greet() -> str:
        return "hello " * 200

    add(app)
    return app
