"""Lines of nginx's access logs and of the app's audit log, read one by one."""

from __future__ import annotations

import glob
import gzip
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mina_ops.errors import AccessDenied, ConfigurationError

# nginx's `combined`, with whatever a log_format adds behind it. Source: ngx_http_log_module.
_LINE = re.compile(
    r"(?P<address>\S+) \S+ (?P<user>\S+) \[(?P<time>[^\]]+)\] "
    r'"(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) (?P<bytes>\d+|-)'
    r'(?: "(?:[^"\\]|\\.)*" "(?P<agent>(?:[^"\\]|\\.)*)")?'
)
_AUDIT = re.compile(r"AUDIT (\{.*\})\s*$")
_TIME = "%d/%b/%Y:%H:%M:%S %z"


@dataclass(frozen=True)
class Access:
    """One request; `method` and `path` are empty where the request line was no HTTP."""

    at: datetime
    address: str
    method: str
    path: str
    status: int
    bytes: int
    agent: str


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


def lines(path: Path) -> Iterator[str]:
    """The lines of a log, also of a rotated one in gzip.

    Raises:
        AccessDenied: it may not be read.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for raw in file:
                yield raw.decode("utf-8", "replace")
    except PermissionError as exc:
        raise AccessDenied(f"{path} may not be read by this user; use sudo or group adm.") from exc
    except (OSError, EOFError) as exc:
        raise ConfigurationError(f"{path} cannot be read to its end: it is damaged.") from exc


def access(line: str) -> Access | None:
    """The request of a line; None if the line is no such thing."""
    match = _LINE.match(line)
    if match is None:
        return None
    try:
        at = datetime.strptime(match["time"], _TIME).astimezone(UTC)
    except ValueError:
        return None
    parts = match["request"].split(" ")
    method, path = (parts[0], parts[1]) if len(parts) == 3 else ("", match["request"])
    size = int(match["bytes"]) if match["bytes"] != "-" else 0
    return Access(
        at, match["address"], method, path, int(match["status"]), size, match["agent"] or ""
    )


def audit(line: str) -> dict[str, Any] | None:
    """The audit entry of a line of the app's log; None if it holds none."""
    match = _AUDIT.search(line)
    try:
        entry = json.loads(match[1]) if match else None
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
