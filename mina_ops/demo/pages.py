"""The demo's pages: one that streams numbered chunks, and what it needs from node_modules."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from flask import Blueprint, abort, current_app, redirect, render_template, send_file, url_for
from flask.typing import ResponseReturnValue

from mina_ops.demo.api import REPLAY_FLAG

CLIENT_KEY = "SOCKET_IO_CLIENT"

_STREAM_SCRIPT = Path(__file__).parents[1] / "app" / "clients" / "mina-stream.js"
_CLIENT = Path("node_modules/socket.io-client/dist/socket.io.min.js")

bp = Blueprint("pages", __name__)


@bp.get("/")
def home() -> ResponseReturnValue:
    """There is one page."""
    return redirect(url_for("pages.live"))


@bp.get("/live")
def live() -> str:
    """Streams numbered chunks through a stock socket.io client and shows who handled them."""
    return render_template(
        "live.html", has_client=current_app.config[CLIENT_KEY] is not None, replay_flag=REPLAY_FLAG
    )


@bp.get("/vendor/socket.io.min.js")
def client_script() -> ResponseReturnValue:
    """The stock browser client as npm installed it; 404 without it."""
    path = current_app.config[CLIENT_KEY]
    if path is None:
        abort(404)
    return send_file(path, mimetype="text/javascript", max_age=3600)


@bp.get("/vendor/mina-stream.js")
def stream_script() -> ResponseReturnValue:
    """Our own script beside it, which numbers a stream and brings it over to the other colour."""
    return send_file(_STREAM_SCRIPT, mimetype="text/javascript", max_age=3600)


def client_folders() -> list[Path]:
    """Where npm may have installed: the working directory, and all folders above this file."""
    return [Path.cwd(), *Path(__file__).parents]


def socket_io_client(folders: Iterable[Path]) -> Path | None:
    """The stock client's bundle in the first folder with such a `node_modules`, or None."""
    return next((folder / _CLIENT for folder in folders if (folder / _CLIENT).is_file()), None)
