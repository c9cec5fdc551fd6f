"""Celery by Flask's documented pattern; its worker asks flags too."""

from __future__ import annotations

import os

from celery import Celery, Task  # type: ignore[import-untyped]
from celery import current_app as current_celery
from flask import Flask

from tests.hosts.host import Add

PAGES = ("/", "/nowhere")


def build(add: Add) -> Flask:
    """The host; with CELERY_URL its worker is a process of its own, else tasks run at once."""
    app = Flask(__name__)
    broker = os.environ.get("CELERY_URL")
    app.config["CELERY"] = (
        {"broker_url": broker, "result_backend": broker, "worker_hijack_root_logger": False}
        if broker
        else {"task_always_eager": True}
    )
    add(app)
    celery = _init_celery(app)

    @celery.task(name="audio")  # type: ignore[untyped-decorator]
    def audio() -> bool:
        ops = app.extensions.get("mina_ops")
        return ops is not None and bool(ops.flags.is_enabled("zoo"))

    @app.get("/")
    def greet() -> str:
        return "hello"

    @app.get("/audio")
    def ask() -> str:
        return str(current_celery.send_task("audio").get(timeout=20) if broker else audio())

    return app


def _init_celery(app: Flask) -> Celery:
    class InContext(Task):  # type: ignore[misc]
        def __call__(self, *arguments: object, **options: object) -> object:
            with app.app_context():
                return self.run(*arguments, **options)

    celery = Celery(app.name, task_cls=InContext)
    celery.config_from_object(app.config["CELERY"])
    celery.set_default()
    app.extensions["celery"] = celery
    return celery
