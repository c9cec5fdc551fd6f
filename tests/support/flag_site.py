"""A real app over HTTP in this process, and a mina-ops.toml whose colours it plays."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from werkzeug.serving import make_server

from mina_ops import MinaOps
from mina_ops.app.flags import Flags

TOKEN = "the-token-of-the-tests"


@dataclass(frozen=True)
class FlagSite:
    """The app's flags, its address, and the settings that name it."""

    flags: Flags
    url: str
    toml: Path


@contextmanager
def flag_site(folder: Path) -> Iterator[FlagSite]:
    """Serve an app with mina_ops on a free port; green answers, blue is down."""
    app = Flask(__name__)
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    app.config.update(
        ENVIRONMENT="green", APP_VERSION="v2.5.0", MINA_OPS_ADMIN_TOKENS={"ana": digest}
    )
    MinaOps(app)
    runtime = app.extensions["mina_ops"]
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    toml = folder / "mina-ops.toml"
    toml.write_text(
        f'[public]\nurl = "{url}"\n[traffic]\ndriver = "command"\n'
        f'[colours.blue]\nurl = "http://127.0.0.1:9"\n[colours.green]\nurl = "{url}"\n'
    )
    try:
        yield FlagSite(runtime.flags, url, toml)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        runtime.heartbeat.stop()
