"""What a host pays in memory for what it does not use: nothing of it is imported."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = ("sqlalchemy", "alembic", "httpx", "rich", "pygments", "openai")

# A host without a database and without an AI service, which serves a request and answers for its
# health and metrics.
HOST = f"""
import json, sys
from flask import Flask
from flask_socketio import SocketIO
import mina_ops

app = Flask("host")
app.route("/")(lambda: "hello")
ops = mina_ops.MinaOps(app, socketio=SocketIO(app, async_mode="threading"))
client = app.test_client()
for path in ("/", "/api/health", "/api/health/ready", "/metrics", "/api/metrics/errors"):
    assert client.get(path).status_code == 200, path
ops.close()
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""


def test_a_host_without_database_and_ai_service_loads_no_library_for_them() -> None:
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", HOST], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
