"""A host whose secrets come from a file: cookie logins, a pooled database, Redis."""

from __future__ import annotations

import os
from pathlib import Path

import redis
from flask import Flask, jsonify, session
from flask.typing import ResponseReturnValue
from sqlalchemy import create_engine, text

from mina_ops import MinaOps
from mina_ops.operator.secrets import env_file as secret_file

secrets = secret_file.read(Path(os.environ["SECRETS_FILE"]))
app = Flask(__name__)
app.config["SECRET_KEY"] = secrets["SECRET_KEY"]
fallbacks = secrets.get("SECRET_KEY_FALLBACKS", "")
app.config["SECRET_KEY_FALLBACKS"] = [key for key in fallbacks.split(",") if key]
app.config["MINA_OPS_ADMIN_TOKENS"] = secrets["MINA_OPS_ADMIN_TOKENS"]
app.config["REDIS_URL"] = secrets["REDIS_URL"]
ops = MinaOps(app)
engine = create_engine(secrets["DATABASE_URL"], pool_size=2, max_overflow=2)
store = redis.Redis.from_url(secrets["REDIS_URL"])


@app.post("/login/<name>")
def login(name: str) -> ResponseReturnValue:
    """Remember the name in the cookie."""
    session["user"] = name
    return jsonify(user=name)


@app.get("/me")
def me() -> ResponseReturnValue:
    """The name in the cookie; signed again, as a sliding session does."""
    if "user" not in session:
        return jsonify(error="nobody"), 401
    session["seen"] = int(session.get("seen", 0)) + 1
    return jsonify(user=session["user"])


@app.get("/data")
def data() -> ResponseReturnValue:
    """Something from the database and from Redis."""
    with engine.connect() as connection:
        number = connection.execute(text("SELECT count(*) FROM things")).scalar_one()
    return jsonify(things=number, hits=store.incr("hits"))
