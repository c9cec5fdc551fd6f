"""A host like Mina, for health: global limiter, CSRF guard, catch-all handler, login wall.

DATABASE_URL, REDIS_URL, OPENAI_*   as in production
OWN_CHECK                           `hang` or `fail`: how its own check `queue` does
"""

from __future__ import annotations

import os
import time

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_socketio import SocketIO
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect

from mina_ops import MinaOps

app = Flask(__name__)
app.config["SECRET_KEY"] = "of a test"
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("DATABASE_URL", "sqlite://")
db = SQLAlchemy(app)
socketio = SocketIO(app, async_mode=os.environ.get("ASYNC_MODE", "threading"))
CSRFProtect(app)
Limiter(get_remote_address, app=app, default_limits=["100 per minute"], storage_uri="memory://")


@app.before_request
def _wall() -> ResponseReturnValue | None:
    return redirect("/login") if request.path not in ("/", "/login") else None


@app.errorhandler(Exception)
def _catch_all(error: Exception) -> ResponseReturnValue:
    return f"caught {type(error).__name__}", 500


@app.get("/")
def greet() -> str:
    """A page of the host."""
    return "hello"


ops = MinaOps(app, socketio=socketio, db=db)


@ops.health_check("queue", critical=False)
def queue() -> bool:
    """The host's own check."""
    way = os.environ.get("OWN_CHECK")
    if way == "hang":
        time.sleep(3600)
    return way != "fail"
