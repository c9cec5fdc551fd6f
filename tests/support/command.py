"""The installed command, as a shell finds it."""

from __future__ import annotations

import sys
from pathlib import Path

MINA_OPS = Path(sys.executable).with_name("mina-ops")
