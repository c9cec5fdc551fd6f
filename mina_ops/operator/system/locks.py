"""A lock between processes of one machine, freed by the kernel when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mina_ops import files
from mina_ops.errors import Locked

WAIT_SECONDS = 5.0
_PAUSE_SECONDS = 0.05


@contextmanager
def held(path: Path, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Within it, nobody else holds the same file.

    Raises:
        NotWritten: the file cannot be made.
        Locked: somebody else holds it for longer than `wait_seconds`.
    """
    files.make_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise files.NotWritten(f"{path} cannot be written: {exc.strerror}.") from exc
    deadline = time.monotonic() + wait_seconds
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as exc:
                if time.monotonic() > deadline:
                    raise Locked(f"Another command holds {path}; wait for it to end.") from exc
                time.sleep(_PAUSE_SECONDS)
        yield
    finally:
        os.close(descriptor)
