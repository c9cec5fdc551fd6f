"""A real host with mina_ops in it that tells how it read a request, and which ones came."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, jsonify, request
from flask_socketio import SocketIO

from mina_ops import MinaOps

TOKEN = "the-token-of-the-hostile-tests"
LARGEST_SEEN = 100_000

app = Flask(__name__)
app.config.update(
    SECRET_KEY="of a test",
    MINA_OPS_ADMIN_TOKENS={"ops": hashlib.sha256(TOKEN.encode()).hexdigest()},
    MINA_OPS_REQUEST_LOG=False,
)
socketio = SocketIO(app, async_mode=os.environ.get("ASYNC_MODE", "threading"))
# Without mina_ops it is what a benchmark measures us beside.
if "BARE" not in os.environ:
    MinaOps(app, socketio=socketio)


@app.get("/echo")
def echo() -> Any:
    """What the app believes of this request."""
    names = ("SCRIPT_NAME", "PATH_INFO", "HTTP_HOST", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP")
    names += ("HTTP_X_FORWARDED_PROTO", "HTTP_X_REQUEST_ID", "HTTP_UPGRADE", "HTTP_FORWARDED")
    return jsonify({name: request.environ.get(name, "") for name in names})


class Seen:
    """The outermost wrapper: the paths that came as far as the app, as it decoded them.

    One that no balancer forwarded, as a smuggled one, has a `!` before it.
    """

    def __init__(self, inner: Callable[..., Iterable[bytes]]) -> None:
        self._inner = inner
        self._paths: deque[str] = deque(maxlen=LARGEST_SEEN)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Tell the paths since the last time, or pass the request on."""
        path = environ.get("PATH_INFO", "")
        if path != "/seen":
            forwarded = "HTTP_X_FORWARDED_FOR" in environ
            self._paths.append(path if forwarded else f"!{path}")
            return self._inner(environ, start)
        data = "\n".join(self._paths).encode("latin-1", "replace")
        self._paths.clear()
        start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(data)))])
        return [data]


app.wsgi_app = Seen(app.wsgi_app)  # type: ignore[method-assign]
