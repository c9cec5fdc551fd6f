"""The demo's application factory: `gunicorn -k gevent "mina_ops.demo.app:create_app()"`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify
from flask.typing import ResponseReturnValue
from flask_migrate import Migrate
from flask_socketio import SocketIO
from werkzeug.exceptions import HTTPException

from mina_ops import MinaOps
from mina_ops.demo import api, auth, config, pages
from mina_ops.demo.audio import NAMESPACE, AudioReceiver
from mina_ops.demo.faults import inject_faults
from mina_ops.demo.insights import Insights
from mina_ops.demo.ledger import open_ledger
from mina_ops.demo.models import db, share_sqlite
from mina_ops.demo.parts import KEY, Parts
from mina_ops.demo.seed import prepare_command

MIGRATIONS = Path(__file__).parent / "migrations"


def create_app(overrides: Mapping[str, Any] | None = None) -> Flask:
    """A demo app, configured by the environment; see `config` for its keys.

    Args:
        overrides: config values that come before the environment, such as those of a test.
    """
    # Where Flask-SQLAlchemy keeps a SQLite file with a relative path; git ignores it.
    app = Flask(__name__, instance_path=str(Path.cwd() / ".demo"))
    app.config.update(config.from_environment(os.environ))
    app.config[pages.CLIENT_KEY] = pages.socket_io_client(pages.client_folders())
    app.config.update(overrides or {})
    _open_database(app)
    auth.init_login(app)
    # What one colour emits has to reach clients that are with the other: see docs/drain.md.
    app.config.setdefault("MINA_OPS_RECOVERY_NAMESPACES", (NAMESPACE,))
    queue = app.config["REDIS_URL"] or None
    socketio = SocketIO(app, async_mode=async_mode(), message_queue=queue)
    ops = MinaOps(app, socketio=socketio, db=db)
    insights = Insights(app.config["OPENAI_BASE_URL"], app.config["OPENAI_API_KEY"])
    demo = Parts(ops, socketio, open_ledger(app.config["REDIS_URL"]), insights)
    app.extensions[KEY] = demo
    _tell_ops(app, demo)
    _add_routes(app, demo)
    return app


def async_mode() -> str:
    """How this process waits: `gevent` or `eventlet` where that patched it, else `threading`."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("socket"):
        return "gevent"
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.is_monkey_patched("socket"):
        return "eventlet"
    return "threading"


def _open_database(app: Flask) -> None:
    db.init_app(app)
    Migrate(app, db, directory=str(MIGRATIONS))
    with app.app_context():
        share_sqlite(db.engine)
    app.cli.add_command(prepare_command)


def _tell_ops(app: Flask, demo: Parts) -> None:
    @demo.ops.health_check("chunk_ledger")
    def _ledger() -> None:
        demo.ledger.ping()

    def _active() -> int:
        with app.app_context():
            return api.count_active()

    demo.ops.active_sessions(_active)


def _add_routes(app: Flask, demo: Parts) -> None:
    for routes in (auth.bp, api.bp, pages.bp):
        app.register_blueprint(routes)
    inject_faults(app, api.bp)
    identity = {
        "environment": os.environ.get("ENVIRONMENT", "production"),
        "version": os.environ.get("APP_VERSION", "unknown"),
    }
    AudioReceiver(identity["environment"]).register(demo)
    app.context_processor(lambda: identity)

    @app.after_request
    def _sign(response: Response) -> Response:
        response.headers["X-Served-By"] = "{environment} {version}".format(**identity)
        return response

    @app.errorhandler(HTTPException)
    def _as_json(error: HTTPException) -> ResponseReturnValue:
        return jsonify(error=error.name, detail=error.description), error.code or 500
