"""A host that turns bad on demand: its faults are a file that each request reads."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

from flask import Flask
from flask_socketio import SocketIO

from mina_ops import MinaOps

app = Flask(__name__)
app.secret_key = "the-key-that-both-colours-share"
socketio = SocketIO(app, async_mode=os.environ.get("ASYNC_MODE", "threading"))
ops = MinaOps(app, socketio=socketio)
_faults = Path(os.environ["FAULTS"]) / f"{os.environ['ENVIRONMENT']}.json"


@app.get("/")
@app.post("/")
def page() -> tuple[str, int]:
    """Answers as the faults say."""
    faults = _read()
    time.sleep(random.expovariate(1 / 0.004) + faults.get("slow_ms", 0) / 1000)
    if random.random() * 100 < faults.get("error_percent", 0):
        return "broken", 500
    return os.environ["ENVIRONMENT"], 200


@ops.health_check("own", critical=True, shared=False, ttl=0.2)
def own_check() -> None:
    """Fails when the faults say so."""
    if _read().get("unready"):
        raise RuntimeError("as ordered")


def _read() -> dict[str, Any]:
    try:
        return dict(json.loads(_faults.read_text()))
    except (OSError, ValueError):
        return {}
