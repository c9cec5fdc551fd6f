"""Coordinates the gunicorn workers of one port: whether one is ready, and which may leave next.

All workers of a gunicorn answer on one port. A load balancer that asks one of them which leaves or
starts, and hears that it is not ready, takes every worker of the instance out. So such a worker
says ready as long as another one is.

They know of each other by locks on two files in a folder of this user. The kernel lets go of a
lock when its holder dies, however that was, so nothing there can be out of date:

    ready   every worker that is ready holds it, shared with the others. Who could have it alone
            knows that nobody else is ready.
    turn    a worker that leaves after `max_requests` holds it alone, to its end.

Example: two workers reach `max_requests` in the same second. A takes the turn and leaves. B serves
on until A is gone and A's successor holds `ready`; then B takes the turn.
"""

from __future__ import annotations

import fcntl
import logging
import os
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from mina_ops import files
from mina_ops.app.forks import call_in_children
from mina_ops.app.settings import Settings
from mina_ops.app.worker import gunicorn_worker

_log = logging.getLogger(__name__)

TURN_SECONDS = 60.0
"""How long a worker waits for its turn; then it leaves all the same, as `max_requests` demands."""


class Siblings:
    """The workers of this process's gunicorn, itself left out; under other servers there are none.

    Where the folder cannot be made, or belongs to somebody else, nobody is known of: a worker then
    answers for itself alone.
    """

    def __init__(self, settings: Settings) -> None:
        self.is_one_ready = False
        """Whether another worker was ready, as of the last look or the last beat on which this one
        was not."""
        self._name = f"{settings.product}-{settings.environment}-{settings.instance}"
        self._ready: int | None = None
        self._turn: int | None = None
        self._holds_ready = False
        self._waits_since: float | None = None
        call_in_children(self.close)

    def at_start(self) -> None:
        """Find the files of this gunicorn; once in each process, after any fork."""
        worker = gunicorn_worker()
        if worker is None or self._ready is not None:
            return
        try:
            folder = _folder()
            _sweep(folder)
            stem = f"{worker.ppid}-{self._name}"
            self._ready = os.open(folder / f"{stem}.ready", os.O_CREAT | os.O_RDWR, files.PRIVATE)
            self._turn = os.open(folder / f"{stem}.turn", os.O_CREAT | os.O_RDWR, files.PRIVATE)
        except OSError as exc:
            _log.warning("Workers of one gunicorn cannot know each other: %s", exc)
        self.beat(is_ready=False)

    def close(self) -> None:
        """Let go of everything. A forked child does so too: its copy would outlive the worker."""
        for descriptor in (self._ready, self._turn):
            if descriptor is not None:
                with suppress(OSError):
                    os.close(descriptor)
        self._ready = self._turn = self._waits_since = None
        self._holds_ready = self.is_one_ready = False

    def beat(self, *, is_ready: bool) -> None:
        """Tell the others whether this worker is ready; ask for them if it is not. Never waits."""
        if self._ready is None:
            return
        self._holds_ready = is_ready
        if is_ready:
            self._share()
        else:
            self.is_one_ready = self._sees_one()

    def look(self) -> None:
        """Ask for the others now: what was seen is old when this one stops to be ready. No wait."""
        self.is_one_ready = self._sees_one()

    def may_leave(self) -> bool:
        """Whether this worker may leave, another one being ready; takes the turn if it is free.

        True too where there is no other worker, and after 60 seconds of waiting.
        """
        worker = gunicorn_worker()
        if self._ready is None or self._turn is None or worker is None or worker.cfg.workers < 2:
            return True
        now = time.monotonic()
        self._waits_since = now if self._waits_since is None else self._waits_since
        if now - self._waits_since > TURN_SECONDS:
            return True
        return files.lock(self._turn) and self._sees_one()

    def _sees_one(self) -> bool:
        if self._ready is None:
            return False
        is_alone = files.lock(self._ready)
        # Asking gives up what was held. If another one asks at this moment, the next beat holds it.
        self._share()
        return not is_alone

    def _share(self) -> None:
        if self._ready is not None:
            with suppress(BlockingIOError):
                mode = fcntl.LOCK_SH if self._holds_ready else fcntl.LOCK_UN
                fcntl.flock(self._ready, mode | fcntl.LOCK_NB)


def _folder() -> Path:
    """A folder that this user alone can write; raises `OSError`."""
    folder = Path(tempfile.gettempdir()) / f"mina_ops-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    others = stat.S_IWGRP | stat.S_IWOTH
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & others:
        raise PermissionError(f"{folder} is not a folder that this user alone can write")
    return folder


def _sweep(folder: Path) -> None:
    """Remove what gunicorns left that are no more."""
    for path in folder.iterdir():
        pid = path.name.partition("-")[0]
        with suppress(PermissionError):  # it lives, as another user
            try:
                os.kill(int(pid), 0)
            except ProcessLookupError:
                path.unlink(missing_ok=True)
            except (ValueError, OverflowError):
                continue  # not one of ours
