"""The gunicorn worker that this process is, found through the signal handlers that it set."""

from __future__ import annotations

import signal
from typing import Any

# All are set by every worker class; a host may have taken over some of them.
_SIGNALS = (signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1, signal.SIGINT)
# What the modules of worker classes that fit an async mode have in their names.
_GREEN = {"gevent": ("ggevent", "geventwebsocket"), "eventlet": ("geventlet",)}


def gunicorn_worker() -> Any | None:
    """The worker object of this process; None under another server, or in gunicorn's master."""
    owners = (getattr(signal.getsignal(number), "__self__", None) for number in _SIGNALS)
    for owner in owners:
        if hasattr(owner, "cfg") and hasattr(owner, "max_requests"):
            return owner
    return None


def misfit(async_mode: str) -> str | None:
    """Why Socket.IO's async mode cannot serve websockets under this worker; None: it can.

    Example: `SocketIO(async_mode="gevent")` under gthread. Each websocket waits in gevent's way, in
    a thread that no loop of gevent runs in, and its client gives up.
    """
    worker = gunicorn_worker()
    if worker is None or async_mode not in _GREEN:
        return None
    modules = {base.__module__ for base in type(worker).__mro__}
    if any(fit in module for module in modules for fit in _GREEN[async_mode]):
        return None
    name = worker.cfg.worker_class_str
    return (
        f"async_mode is {async_mode}, and gunicorn's worker class is {name}: no websocket comes "
        f"in. Start gunicorn with --worker-class {async_mode}, or give "
        'SocketIO(async_mode="threading")'
    )


def connection_limit(async_mode: str) -> int | None:
    """Connections that this process's server takes at a time; None: no limit, or unknown."""
    worker = gunicorn_worker()
    if worker is None:
        return _eventlet_pool() if async_mode == "eventlet" else None
    limit = int(worker.cfg.worker_connections)
    if async_mode == "threading":
        # A websocket keeps its thread.
        return min(limit, int(worker.cfg.threads))
    return limit


def _eventlet_pool() -> int:
    from eventlet import wsgi

    return int(wsgi.DEFAULT_MAX_SIMULTANEOUS_REQUESTS)
