"""One at a time: a lock on a file that ends with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mina_ops.errors import TrafficError

_POLL_SECONDS = 0.01


@contextmanager
def exclusive(path: Path, seconds: float = 10.0) -> Iterator[None]:
    """Hold the lock at `path`, waiting up to `seconds` for whoever has it.

    Raises:
        TrafficError: another process held it all the time, or its folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise TrafficError(f"Cannot write {path}: {exc.strerror}. Traffic is as it was.") from exc
    try:
        deadline = time.monotonic() + seconds
        while not _try(handle):
            if time.monotonic() > deadline:
                raise TrafficError(
                    f"Another process has been changing traffic for {seconds:g} s; see who it is "
                    f"with `fuser {path}`."
                )
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(handle)


def _try(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
