"""A host with a SIGTERM handler of its own, of any kind.

REDIS_URL   what mina_ops shares
HANDLER     `logs`, `raises`, `exits`, `ignores` or `slow`: what it does; `none`: there is none
LATE        with 1 it is installed by the first request
"""

from __future__ import annotations

import logging
import os
import signal
import time
from types import FrameType

from flask import Flask
from flask_socketio import SocketIO

from mina_ops import MinaOps

WAY = os.environ.get("HANDLER", "none")
LATE = os.environ.get("LATE") == "1"

app = Flask(__name__)
app.config["SECRET_KEY"] = "of a test"
socketio = SocketIO(app, async_mode=os.environ.get("ASYNC_MODE", "threading"))


def _on_term(number: int, frame: FrameType | None) -> None:
    logging.getLogger("host").warning("SIGTERM came")
    os.write(2, b"handled by the host\n")
    if WAY == "raises":
        raise RuntimeError("a bug in the host's handler")
    if WAY == "exits":
        raise SystemExit(0)
    if WAY == "slow":
        time.sleep(2)
        os.write(2, b"saved by the host\n")


def _install() -> None:
    if WAY != "none":
        signal.signal(signal.SIGTERM, signal.SIG_IGN if WAY == "ignores" else _on_term)


if not LATE:
    _install()
ops = MinaOps(app, socketio=socketio)


@app.get("/pid")
def pid() -> str:
    """Which process this is."""
    if LATE and signal.getsignal(signal.SIGTERM) is not _on_term and not _installed:
        _installed.append(1)
        os.kill(os.getpid(), signal.SIGUSR2)
    return str(os.getpid())


@app.get("/handler")
def handler() -> str:
    """Who hears of SIGTERM first."""
    present = signal.getsignal(signal.SIGTERM)
    return "the host's" if present in (_on_term, signal.SIG_IGN) else "not the host's"


_installed: list[int] = []


def _from_the_main_thread(number: int, frame: FrameType | None) -> None:
    _install()


if LATE:
    signal.signal(signal.SIGUSR2, _from_the_main_thread)
