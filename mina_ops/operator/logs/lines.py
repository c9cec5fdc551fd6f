"""The lines of access logs, and of the app's audit log, read one by one from any of their files."""

from __future__ import annotations

import bz2
import glob
import gzip
import json
import lzma
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from mina_ops.errors import AccessDenied, ConfigurationError
from mina_ops.operator.logs.formats import FORMATS, Access, is_connection, is_no_request

__all__ = ["Access", "Reading", "access", "audit", "files"]

_AUDIT = re.compile(r"AUDIT (\{.*\})\s*$")
_OPENERS: Mapping[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_LONGEST_LINE = 1 << 16


@dataclass
class Reading:
    """Files read one after the other, and what of them could not be read.

    Attributes:
        unreadable: lines that are none of the known forms.
        connections: lines of HAProxy's default format, which tell of no request.
        damaged: files that end too early, may not be read, or are packed in an unknown way.
    """

    unreadable: int = 0
    connections: int = 0
    damaged: list[str] = field(default_factory=list)

    def requests(self, paths: Sequence[Path]) -> Iterator[Access]:
        """The requests in the files; what cannot be read is counted, and the rest goes on."""
        for path in paths:
            last, unknown, is_of_app = "combined", 0, False
            for line in self.lines(path):
                last, found = _read(line, last)
                if found is not None:
                    is_of_app = is_of_app or last == "own"
                    yield found
                elif is_connection(line):
                    self.connections += 1
                elif not is_no_request(line):
                    unknown += 1
            # The app's log holds much beside its requests.
            self.unreadable += 0 if is_of_app else unknown

    def lines(self, path: Path) -> Iterator[str]:
        """The lines of a log, also of a rotated one that is packed; each bounded in length."""
        try:
            with _open(path) as file:
                while raw := file.readline(_LONGEST_LINE):
                    yield raw.decode("utf-8", "replace")
        except PermissionError:
            self.damaged.append(f"{path} may not be read by this user; use sudo or group adm.")
        except (OSError, EOFError, zlib.error, lzma.LZMAError):
            self.damaged.append(f"{path} cannot be read to its end: it is damaged.")


def files(patterns: Sequence[str]) -> list[Path]:
    """The files that patterns match, the oldest first.

    Raises:
        ConfigurationError: none does.
    """
    found = {Path(name) for pattern in patterns for name in glob.glob(pattern)}
    if not found:
        raise ConfigurationError(
            f"No log matches {', '.join(patterns)}; give --log, or set incident.access_logs."
        )
    return sorted((path for path in found if path.is_file()), key=lambda path: path.stat().st_mtime)


def require_one(reading: Reading, paths: Sequence[Path]) -> None:
    """Refuse where not one of the files could be opened; raises AccessDenied."""
    shut = [told for told in reading.damaged if "may not be read" in told]
    if paths and len(shut) == len(paths):
        raise AccessDenied(shut[0])


def access(line: str) -> Access | None:
    """The request of a line; None if the line is of no known form."""
    return _read(line, "combined")[1]


def audit(line: str) -> dict[str, Any] | None:
    """The audit entry of a line of the app's log; None if it holds none."""
    match = _AUDIT.search(line)
    try:
        entry = json.loads(match[1]) if match else None
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _read(line: str, last: str) -> tuple[str, Access | None]:
    """The form and the request of a line; that of the line before is tried first."""
    found = FORMATS[last](line)
    if found is not None:
        return last, found
    for name, read in FORMATS.items():
        if name != last and (found := read(line)) is not None:
            return name, found
    return last, None


def _open(path: Path) -> IO[bytes]:
    if path.suffix in (".zst", ".br", ".lz4"):
        raise EOFError
    opener: Callable[..., IO[bytes]] = _OPENERS.get(path.suffix, open)
    return opener(path, "rb")
