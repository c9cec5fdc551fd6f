"""What nginx itself says about its configuration (`nginx -T`) and in its error log."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_DEFAULT_CONNECTIONS = 512
# A websocket is one connection of the visitor and one to the app.
_CONNECTIONS_PER_SESSION = 2
_LONGEST_TAIL_BYTES = 65_536


@dataclass(frozen=True)
class NginxDump:
    """The whole configuration that nginx would load, all includes in place.

    Args:
        text: what `nginx -T` prints.
        prefix: its `-p`; None: the built-in one.
        version: what `nginx -V` prints, which holds the built-in paths.
    """

    text: str
    version: str = ""
    prefix: Path | None = None

    def sessions(self) -> int:
        """Websockets that nginx can carry at once, by its workers and their connections."""
        connections = int(self._last(r"worker_connections\s+(\d+)") or _DEFAULT_CONNECTIONS)
        workers = self._last(r"worker_processes\s+(\w+)") or "1"
        count = len(os.sched_getaffinity(0)) if workers == "auto" else int(workers)
        return connections * count // _CONNECTIONS_PER_SESSION

    def error_log(self) -> Path | None:
        """The main error log; None where that is no file."""
        prefix = self.prefix or self._built_in("prefix") or "/"
        name = self._last(r"(?m)^error_log\s+([^\s;]+)") or self._built_in("error-log-path")
        if not name or name in ("stderr", "off") or name.startswith(("syslog:", "memory:")):
            return None
        return Path(prefix) / name

    def _last(self, pattern: str) -> str | None:
        found: list[str] = re.findall(pattern, self.text)
        return found[-1] if found else None

    def _built_in(self, name: str) -> str | None:
        found = re.search(rf"--{name}=(\S+)", self.version)
        return found[1] if found else None


class ErrorLog:
    """What nginx writes into its error log from now on.

    Args:
        file: the log; None: there is none that can be read.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._start = self._size()

    def words(self) -> str:
        """The first new line by which nginx gave something up; "" where there is none."""
        if self._file is None or self._size() <= self._start:
            return ""
        try:
            with self._file.open("rb") as log:
                log.seek(self._start)
                text = log.read(_LONGEST_TAIL_BYTES).decode(errors="replace")
        except OSError:
            return ""
        marked = (line for line in text.splitlines() if "[emerg]" in line or "[alert]" in line)
        return next(marked, "").strip()

    def _size(self) -> int:
        try:
            return 0 if self._file is None else self._file.stat().st_size
        except OSError:
            return 0
