"""A host whose figures are measured from outside: it works, fails, streams and serves files."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from flask import Flask, Response, abort, send_file
from flask_socketio import SocketIO

from mina_ops import MinaOps

app = Flask(__name__)
app.config["SECRET_KEY"] = "test"
socketio = SocketIO(app, async_mode=os.environ.get("ASYNC_MODE", "threading"))
ops = MinaOps(app, socketio=socketio)
ops.active_sessions(lambda: int(os.environ.get("ACTIVE_SESSIONS", "3")))

FILE_BYTES = 3_000_000


@app.get("/works/<int:number>")
def works(number: int) -> str:
    """The process that answers."""
    return str(os.getpid())


@app.get("/fails")
def fails() -> str:
    """An exception that Flask turns into a 500."""
    raise RuntimeError("on purpose")


@app.get("/slow/<int:milliseconds>")
def slow(milliseconds: int) -> str:
    """A late answer."""
    time.sleep(milliseconds / 1000)
    return "late"


@app.get("/stream/<int:chunks>")
def stream(chunks: int) -> Response:
    """Chunks of 100 kB, one every 50 ms."""

    def parts() -> Iterator[bytes]:
        for _ in range(chunks):
            yield b"x" * 100_000
            time.sleep(0.05)

    return Response(parts(), mimetype="application/octet-stream")


@app.get("/breaks")
def breaks() -> Response:
    """A stream that fails after its first chunk."""

    def parts() -> Iterator[bytes]:
        yield b"x"
        raise RuntimeError("on purpose")

    return Response(parts())


@app.get("/file")
def file() -> Response:
    """A file through the server's own file wrapper."""
    path = Path(tempfile.gettempdir()) / f"mina-ops-test-{os.getpid()}.bin"
    if not path.exists():
        path.write_bytes(b"x" * FILE_BYTES)
    handle = path.open("rb")
    path.unlink()
    return send_file(handle, mimetype="application/octet-stream")


@app.get("/outcome/<name>/<result>")
def outcome(name: str, result: str) -> str:
    """Tells an outcome."""
    with ops.outcome(name) as attempt:
        if result == "bad":
            attempt.failure()
        if result == "raises":
            abort(400)
    return "told"
