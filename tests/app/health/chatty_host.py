"""A host that logs without pause, at DEBUG, from twenty green threads; its migrations are checked.

DATABASE_URL   of a real server; its driver is what is tried
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from pathlib import Path

from flask import Flask, Response
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from mina_ops import MinaOps

WRITERS = 20
_REVISION = "revision = '0001'\ndown_revision = None\nbranch_labels = depends_on = None\n"

logging.basicConfig(level=logging.DEBUG, filename=os.environ["CHATTY_LOG"])
logging.getLogger("psycopg").setLevel(logging.DEBUG)
log = logging.getLogger("chatty")
folder = Path(tempfile.mkdtemp(prefix="chatty-"))
(folder / "versions").mkdir()
(folder / "versions" / "0001.py").write_text(_REVISION)

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"echo": True, "echo_pool": "debug"}
db = SQLAlchemy(app)
Migrate(app, db, directory=str(folder))
ops = MinaOps(app, db=db)


@ops.health_check("library", native=True, ttl=0.05)
def library() -> dict[str, int]:
    """Asks something that blocks, and logs all the while."""
    for number in range(20):
        log.debug("asking the library, step %d", number)
    return {"steps": 20}


@app.get("/")
def greet() -> str:
    """A page that logs as well."""
    log.info("a page")
    return "hello"


@app.get("/written")
def written() -> Response:
    """Begin to write with the first call, since only then this is the serving process."""
    if not _writing:
        _writing.extend(threading.Thread(target=_write, daemon=True) for _ in range(WRITERS))
        for writer in _writing:
            writer.start()
    return Response(str(sum(_lines)))


_writing: list[threading.Thread] = []
_lines = [0]


def _write() -> None:
    while True:
        log.debug("a line among many")
        _lines[0] += 1
        time.sleep(0)
