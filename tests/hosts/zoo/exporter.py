"""prometheus-flask-exporter on /metrics, there before us."""

from __future__ import annotations

from flask import Flask
from prometheus_client import CollectorRegistry
from prometheus_flask_exporter import PrometheusMetrics

from tests.hosts.host import Add

PAGES = ("/",)


def build(add: Add) -> Flask:
    """The host."""
    app = Flask(__name__)
    PrometheusMetrics(app, registry=CollectorRegistry())

    @app.get("/")
    def greet() -> str:
        return "hello"

    add(app)
    return app
