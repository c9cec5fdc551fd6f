"""The same host for `preload_app`: under eventlet it patches before anything else is imported.

gunicorn patches for gevent in its first process; for eventlet only in the workers, which is too
late for a host that was imported before the fork.
"""

from __future__ import annotations

import os
from importlib import import_module

if os.environ.get("ASYNC_MODE") == "eventlet":
    import_module("eventlet").monkey_patch()

app = import_module("tests.app.health.health_host").app
