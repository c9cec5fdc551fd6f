"""A host with what differs between releases: lazily loaded files, an API, a form."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask, Response, abort, render_template_string, request, send_file
from flask_socketio import SocketIO

from mina_ops import MinaOps

VERSION = os.environ["APP_VERSION"]
_CLIENT = Path(__file__).parents[3] / "node_modules/socket.io-client/dist/socket.io.min.js"
_PAGE = """<!doctype html><title>{{ version }}</title>
<meta name="mina-release" content="{{ mina_release }}">
<link rel="icon" href="data:,">
<script src="/static/socket.io.min.js"></script>
<script src="/mina-ops/mina-stream.js"></script>
<script>
  const told = [];
  MinaStream.onReleaseChanged((said) => told.push(said));
  const lazy = (name) => new Promise((done, failed) => {
    const script = document.createElement("script");
    Object.assign(script, { src: `/static/${name}-${MinaStream.release}.js`,
      onload: () => done(window.loaded), onerror: () => failed(new Error("404")) });
    document.head.append(script);
  });
  const ask = async () => (await MinaStream.fetch("/api/who")).text();
  const talk = () => new Promise((done, failed) => {
    const socket = MinaStream.connect(io, { forceNew: true });
    const end = (answer) => { socket.disconnect(); done(answer); };
    socket.on("connect", () => socket.emit("who", end));
    socket.on("connect_error", failed);
  });
</script>
<form method="post" action="/form">
  <input name="of" value="{{ version }}"><button>Send</button>
</form>
"""

app = Flask(__name__, static_folder=None)
app.config["SECRET_KEY"] = "of a test"
socketio = SocketIO(app, async_mode=os.environ.get("ASYNC_MODE", "threading"))
ops = MinaOps(app, socketio=socketio)


@app.get("/")
def page() -> str:
    return render_template_string(_PAGE, version=VERSION)


@app.get("/static/<name>")
def static_file(name: str) -> Response:
    """The client's library, and any file that bears this release's name."""
    if name == "socket.io.min.js":
        return send_file(_CLIENT)
    if not name.endswith(f"-{VERSION}.js"):
        abort(404)
    return Response(f"window.loaded = {VERSION!r}", mimetype="text/javascript")


@app.get("/api/who")
def who() -> str:
    return VERSION


@app.post("/form")
def form() -> str:
    return "same" if request.form["of"] == VERSION else "crossed"


@socketio.on("who")
def who_talks() -> str:
    return VERSION
