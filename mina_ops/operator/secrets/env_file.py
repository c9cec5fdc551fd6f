"""An environment file with secrets: read, changed as a whole, never printed. Mode 0600."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from mina_ops import files
from mina_ops.errors import AccessDenied, ConfigurationError

_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")


def read(path: Path) -> dict[str, str]:
    """The variables of the file.

    Raises:
        ConfigurationError: it does not exist, or a line is no assignment.
        AccessDenied: it may not be read, or others than its owner may read it.
    """
    return {match[1]: _unquoted(match[2]) for match in _lines(path) if match is not None}


def changed(path: Path, values: Mapping[str, str | None]) -> str:
    """The file's text with some variables set and (None) removed; other lines stay."""
    text = path.read_text()
    left = dict(values)
    lines = []
    for line in text.splitlines():
        match = _ASSIGNMENT.fullmatch(line)
        name = match[1] if match else ""
        if name not in values:
            lines.append(line)
            continue
        value = left.pop(name, None)
        if value is not None:
            lines.append(f"{name}={_quoted(value)}")
    lines += [f"{name}={_quoted(value)}" for name, value in left.items() if value is not None]
    return "\n".join(lines) + "\n"


def replace(path: Path, text: str) -> None:
    """Put a new text in place of the file's, as a whole; its owner and mode stay.

    A symbolic link stays one: the file that it leads to is replaced.
    """
    path = path.resolve()
    mode = stat.S_IMODE(path.stat().st_mode)
    owner = (path.stat().st_uid, path.stat().st_gid)
    files.write(path, text, mode)
    made = path.stat()
    if (made.st_uid, made.st_gid) != owner:
        os.chown(path, *owner)


def _lines(path: Path) -> list[re.Match[str] | None]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text()
    except FileNotFoundError as exc:
        raise ConfigurationError(
            f"There is no {path}; incident.secrets.file names the file with the app's secrets."
        ) from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise AccessDenied(f"{path} cannot be read by this user.") from exc
    if mode & 0o077:
        raise AccessDenied(f"{path} can be read by others; chmod 600 it first.")
    found: list[re.Match[str] | None] = []
    for number, line in enumerate(text.splitlines(), 1):
        match = _ASSIGNMENT.fullmatch(line)
        if match is None and line.strip() and not line.lstrip().startswith("#"):
            raise ConfigurationError(f"{path}, line {number}: must be NAME=value or a comment.")
        found.append(match)
    return found


def _unquoted(value: str) -> str:
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    if len(value) >= 2 and value[0] == value[-1] == "'":
        return value[1:-1]
    return value


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    escaped = re.sub(r'([\\"$`])', r"\\\1", value)
    return f'"{escaped}"'
