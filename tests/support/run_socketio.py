"""Serve a host with `socketio.run`: python -m tests.support.run_socketio MODULE:APP HOST PORT.

The green modes patch the standard library before anything else is imported.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module


def main(spec: str, host: str, port: str) -> None:
    """Import the host and serve it until a signal ends the process."""
    mode = os.environ.get("ASYNC_MODE", "threading")
    if mode == "gevent":
        import_module("gevent.monkey").patch_all()
    elif mode == "eventlet":
        import_module("eventlet").monkey_patch()
    module_name, app_name = spec.split(":")
    module = import_module(module_name)
    more = {"allow_unsafe_werkzeug": True} if mode == "threading" else {}
    module.socketio.run(getattr(module, app_name), host=host, port=int(port), **more)


if __name__ == "__main__":
    main(*sys.argv[1:])
