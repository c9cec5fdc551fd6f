"""Public Flask apps as their packages have them, with our one line added from outside, or bare.

`python tests/hosts/public.py NAME PORT [--bare]`, in an environment that has the app and mina_ops.
Nothing of an app is changed but that one line. See test_public_apps.py.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

TOKEN = "the-token-of-the-zoo"
HOST = "127.0.0.1"
Add = Callable[[Any], None]


def changedetection(port: int, add: Add) -> None:
    """changedetection.io: Flask-SocketIO, Flask-Login, CSRF; it makes its app late."""
    import changedetectionio
    from changedetectionio import flask_app

    make = flask_app.changedetection_app

    def make_and_add(*arguments: Any, **options: Any) -> Any:
        app = make(*arguments, **options)
        add(app)
        return app

    flask_app.changedetection_app = make_and_add
    folder = tempfile.mkdtemp(prefix="changedetection-")
    sys.argv = ["changedetection.io", "-d", folder, "-p", str(port), "-h", HOST]
    changedetectionio.main()


def mlflow(port: int, add: Add) -> None:
    """MLflow's tracking server: routes by the hundred, and a check of the Host header."""
    folder = tempfile.mkdtemp(prefix="mlflow-")
    os.environ["_MLFLOW_SERVER_FILE_STORE"] = f"sqlite:///{folder}/mlflow.db"
    os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = folder
    from mlflow.server import app

    add(app)
    app.run(HOST, port, threaded=True)


def locust(port: int, add: Add) -> None:
    """Locust's page: gevent, pywsgi, one app of the module."""
    import gevent
    from locust import HttpUser, task
    from locust.env import Environment

    class Visitor(HttpUser):
        host = "http://127.0.0.1:1"

        @task
        def look(self) -> None:
            """Ask for a page."""

    environment = Environment(user_classes=[Visitor])
    environment.create_local_runner()
    page = environment.create_web_ui(HOST, port)
    add(page.app)
    gevent.wait()


def add_mina_ops(app: Any) -> None:
    """The one line, with a token for the suite."""
    from mina_ops import MinaOps

    app.config["MINA_OPS_ADMIN_TOKENS"] = {"zoo": hashlib.sha256(TOKEN.encode()).hexdigest()}
    MinaOps(app)


def main() -> None:
    """Serve one."""
    name, port, *flags = sys.argv[1:]
    del sys.argv[1:]  # some read it, too
    serve = {"changedetection.io": changedetection, "mlflow": mlflow, "locust": locust}[name]
    serve(int(port), (lambda _app: None) if "--bare" in flags else add_mina_ops)


if __name__ == "__main__":
    main()
