"""Locks between processes of one machine, freed by the kernel when their holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mina_ops import files
from mina_ops.errors import Locked, TrafficError
from mina_ops.waiting import wait_until

WAIT_SECONDS = 5.0
TRAFFIC_WAIT_SECONDS = 10.0


@contextmanager
def held(path: Path, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Within it, nobody else holds the same file.

    Raises:
        NotWritten: the file cannot be made.
        Locked: somebody else holds it for longer than `wait_seconds`.
    """
    descriptor = _take(path, wait_seconds)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def exclusive(path: Path, seconds: float = TRAFFIC_WAIT_SECONDS) -> Iterator[None]:
    """`held`, for whoever changes traffic, and so with errors that say how traffic is.

    Raises:
        TrafficError: another process held it all the time, or its folder cannot be written.
    """
    try:
        # With the usual mode: servers that run as another user read what lies beside the lock.
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _take(path, seconds)
    except (OSError, files.NotWritten) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise TrafficError(f"Cannot write {path}: {reason} Traffic is as it was.") from exc
    except Locked as exc:
        raise TrafficError(
            f"Another process has been changing traffic for {seconds:g} s; see who it is with "
            f"`fuser {path}`."
        ) from exc
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def if_free(path: Path) -> Iterator[bool]:
    """Whether nobody else holds the file; within it nobody else will, then. Does not wait.

    For whoever shares a thread with others, as green threads do, and can come again later.

    Raises:
        OSError: the file cannot be made.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, files.PRIVATE)
    is_ours = False
    try:
        is_ours = files.lock(descriptor)
        yield is_ours
    finally:
        if is_ours:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing is not enough where a fork copied it
        os.close(descriptor)


def _take(path: Path, wait_seconds: float) -> int:
    files.make_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise files.NotWritten(f"{path} cannot be written: {exc.strerror}.") from exc
    if not wait_until(lambda: files.lock(descriptor), wait_seconds):
        os.close(descriptor)
        raise Locked(f"Another command holds {path}; wait for it to end.")
    return descriptor
