"""Both colours in one process, which read their secrets again on a signal: `SECRETS PORT PORT`.

A real app with mina_ops, a pool and Redis in each; only the reload is quick, since nothing is
imported again, so that a table of faults takes minutes. USR1 reloads blue, USR2 green.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import redis
from flask import Flask, jsonify, session
from flask.typing import ResponseReturnValue
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool
from werkzeug.serving import make_server

from mina_ops import MinaOps
from mina_ops.operator.secrets import env_file

FILE = Path(sys.argv[1])
PORTS = {"blue": int(sys.argv[2]), "green": int(sys.argv[3])}


def build(colour: str) -> Flask:
    """The app of a colour, as the file of secrets says now."""
    secrets = env_file.read(FILE)
    app = Flask("reloading")
    app.config.update(
        SECRET_KEY=secrets["SECRET_KEY"],
        SECRET_KEY_FALLBACKS=[k for k in secrets.get("SECRET_KEY_FALLBACKS", "").split(",") if k],
        MINA_OPS_ADMIN_TOKENS=secrets["MINA_OPS_ADMIN_TOKENS"],
        REDIS_URL=secrets["REDIS_URL"],
        ENVIRONMENT=colour,
        MINA_OPS_HEALTH_INTERVAL=0.2,
        MINA_OPS_BEAT=0.2,
        MINA_OPS_DRAIN_ON_SIGTERM=False,
    )
    MinaOps(app)
    pool = create_engine(secrets["DATABASE_URL"], pool_size=2, max_overflow=2, pool_pre_ping=True)
    logins = create_engine(secrets["DATABASE_URL"], poolclass=NullPool)
    store = redis.Redis.from_url(secrets["REDIS_URL"])
    app.extensions["pool"] = pool

    @app.post("/login/<name>")
    def login(name: str) -> ResponseReturnValue:
        session["user"] = name
        return jsonify(user=name)

    @app.get("/me")
    def me() -> ResponseReturnValue:
        return jsonify(user=session["user"]) if "user" in session else ({"error": "nobody"}, 401)

    @app.get("/data")
    def data() -> ResponseReturnValue:
        """Through the pool, and by a login of its own: both must work."""
        try:
            for engine in (pool, logins):
                with engine.connect() as connection:
                    connection.execute(text("SELECT count(*) FROM things")).scalar_one()
            store.incr("hits")
            with redis.Redis.from_url(secrets["REDIS_URL"]) as own:
                own.ping()
        except Exception as exc:
            return {"error": f"{type(exc).__name__}: {exc}"}, 500
        return jsonify(done=True)

    return app


class Reloaded:
    """A WSGI app that is built anew on `reload`."""

    def __init__(self, colour: str) -> None:
        self.colour = colour
        self.app = build(colour)

    def reload(self) -> None:
        old, self.app = self.app, build(self.colour)
        # As the end of its process would do.
        old.extensions["mina_ops"].close()
        old.extensions["pool"].dispose()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        found: Iterable[bytes] = self.app.wsgi_app(environ, start)
        return found


def main() -> None:
    """Serve until TERM."""
    served = {signal.SIGUSR1: Reloaded("blue"), signal.SIGUSR2: Reloaded("green")}
    signal.pthread_sigmask(signal.SIG_BLOCK, served)
    for one in served.values():
        server = make_server("127.0.0.1", PORTS[one.colour], one, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    while True:
        served[signal.Signals(signal.sigwait(served))].reload()


if __name__ == "__main__":
    main()
