"""Files that are either whole or as they were: temporary name, fsync, rename."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from pathlib import Path

from mina_ops.errors import OperatorError
from mina_ops.waiting import wait_until

PRIVATE = 0o600
_LONGEST_LINE = 1 << 20
_LOCK_SECONDS = 3.0


class NotWritten(OperatorError):
    """A file cannot be written; what stood there before is untouched."""

    code = "not_written"


def write(path: Path, content: str | bytes, mode: int = PRIVATE) -> None:
    """Replace a file as a whole; a reader sees the old content or the new, also after a crash.

    Args:
        mode: the permissions, set before the content is in it; default: the owner alone.

    Raises:
        NotWritten: the disk is full, or the folder cannot be created or written.
    """
    data = content.encode() if isinstance(content, str) else content
    partial = beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as exc:
        raise NotWritten(f"{path} cannot be written: {exc.strerror}.") from exc
    finally:
        partial.unlink(missing_ok=True)


def make_folder(path: Path, mode: int = 0o700) -> None:
    """Make a folder, and those above it that are missing, with this mode whatever the umask is.

    Raises:
        NotWritten: that is not possible; a file stands there, or the disk is full.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        for folder in missing:
            folder.chmod(mode)
    except OSError as exc:
        raise NotWritten(f"{path} cannot be made: {exc.strerror}.") from exc


def append(path: Path, line: str) -> None:
    """Add a line to a file and wait until it is on the disk; the whole line or nothing.

    What a crash left of an unfinished last line is removed first. Callers in several processes
    wait for each other, for at most 3 seconds: one that was stopped as it wrote (Ctrl-Z) holds
    the lock for as long as it likes, and must not keep a rollback from being written down.

    Raises:
        NotWritten: the disk is full, or the file cannot be written; it is as it was before.
    """
    data = (line.rstrip("\n") + "\n").encode()
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE)
        with os.fdopen(descriptor, "ab", buffering=0) as file:
            wait_until(lambda: lock(descriptor), _LOCK_SECONDS)
            before = _end_of_lines(descriptor)
            file.truncate(before)
            try:
                _write_whole(descriptor, data)
            except OSError:
                file.truncate(before)
                raise
    except OSError as exc:
        raise NotWritten(f"{path} cannot be written: {exc.strerror}.") from exc


def lock(descriptor: int) -> bool:
    """Whether an open file is locked for us now; does not wait. Whoever closes it lets it go."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _end_of_lines(descriptor: int) -> int:
    size = os.fstat(descriptor).st_size
    start = max(0, size - _LONGEST_LINE)
    tail = os.pread(descriptor, _LONGEST_LINE, start)
    whole = tail.rfind(b"\n") + 1
    return start + whole if whole or start == 0 else size


def _write_whole(descriptor: int, data: bytes) -> None:
    if os.write(descriptor, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(descriptor)


def beside(path: Path) -> Path:
    """A name for a file that is not whole yet, in the same folder and so the same file system."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")


def link(path: Path, target: str) -> None:
    """Let the symbolic link `path` point at `target`, in one step."""
    partial = beside(path)
    try:
        partial.symlink_to(target)
        partial.replace(path)
    except OSError as exc:
        partial.unlink(missing_ok=True)
        raise NotWritten(f"{path} cannot be written: {exc.strerror}.") from exc


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
