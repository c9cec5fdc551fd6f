"""An environment with the oldest python-socketio and python-engineio that we support."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

from tests.support.source import PACKAGE

OLDEST = ("python-engineio==4.7.0", "python-socketio==5.9.0", "simple-websocket==1.0.0")


def oldest_python(*more: str) -> Path:
    """Its interpreter, made where there is none yet; with some more packages."""
    folder = PACKAGE.parent / ".cache" / "oldest-socketio"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    command = [str(python), "-m", "pip", "install", "-q", *OLDEST, *more]
    subprocess.run(command, check=True, timeout=300)
    return python
