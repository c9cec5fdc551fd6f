"""gunicorn's configuration: each worker serves one request before any other.

The heartbeat of a process begins with its first request. Of hundreds of workers behind one port the
kernel leaves some without any for minutes, so that a fleet would be known late and a few at a time;
here all of them begin at once, which is also the worst that can happen to what they share.
"""

from __future__ import annotations

from typing import Any

from werkzeug.test import Client


def post_worker_init(worker: Any) -> None:
    """Called by gunicorn in each worker, once its app is loaded."""
    Client(worker.wsgi).get("/api/health/live")
