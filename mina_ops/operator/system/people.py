"""Who runs this command."""

from __future__ import annotations

import getpass
import os


def whoami() -> str:
    """The user's name; its number where the machine knows no name, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
