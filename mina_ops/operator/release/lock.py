"""One controller for a folder of releases, which holds the site like everybody who moves traffic.

On one machine the kernel's file lock is the truth: it goes with its process, whatever ends it.
Between machines that share the folder, the owner's record counts as long as it is renewed. What
keeps other folders and other commands out is the lock of the site; see `traffic/site_lock.py`.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from mina_ops import files
from mina_ops.errors import Locked
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.traffic.site_lock import Places, SiteLock, new_holder
from mina_ops.waiting import wait_until

TTL_SECONDS = 30.0
_OWNER = "owner.json"
_BEATS_PER_TTL = 3
_INTRODUCTION_SECONDS = 2.0
_LOOK_SECONDS = 0.1
# Whoever moves traffic once, such as a switch, is done by then.
_SITE_SECONDS = 2.0


class ReleaseLock:
    """A context manager that holds a folder of releases, and with it the site.

    Args:
        places: where the site is held; None: the folder alone.
        take_over: from a controller that does not react; it loses both, and `require_held` tells
            it so if it ever goes on. Nothing is refused then, and a folder that cannot be written
            is no obstacle.

    Raises on entering:
        Locked: another controller has it; the message says who, where and since when.
        NotWritten: the lock file cannot be made or opened.
    """

    def __init__(
        self,
        folder: Path,
        purpose: str,
        *,
        places: Places | None = None,
        take_over: bool = False,
        ttl_seconds: float = TTL_SECONDS,
    ) -> None:
        self._folder = folder
        self._take_over = take_over
        self._mine = replace(new_holder(purpose, ttl_seconds=ttl_seconds), since=time.time())
        self._site = (
            None
            if places is None
            else SiteLock(places, purpose, take_over=take_over, wait_seconds=_SITE_SECONDS)
        )
        self._descriptor = -1
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._beat, name="mina_ops-release-lock", daemon=True
        )

    def __enter__(self) -> ReleaseLock:
        self._lock_here()
        if self._site is not None:
            try:
                self._site.__enter__()
            except Locked:
                os.close(self._descriptor)
                raise
        self._renew()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(self._mine.ttl_seconds)
        if self._descriptor >= 0:
            if self._is_ours():
                with suppress(OSError):
                    (self._folder / _OWNER).unlink()
            os.close(self._descriptor)
        if self._site is not None:
            self._site.__exit__(kind, error, trace)

    def require_held(self) -> None:
        """Return unless another controller has taken the site over, as after a Ctrl-Z.

        Raises:
            Locked: it has; nothing may be changed any more.
        """
        if not self._is_ours():
            raise Locked(
                "Another controller has taken this release over; this one changes nothing more. "
                "See `mina-ops release status`."
            )
        if self._site is not None:
            self._site.require_held()

    def _lock_here(self) -> None:
        path = self._folder / "lock"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if self._take_over:
                # Whoever holds the old file keeps holding that; the name means another one now.
                path.unlink(missing_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as exc:
            if self._take_over:
                return
            raise files.NotWritten(f"{self._folder} cannot be locked: {exc.strerror}.") from exc
        other = owner(self._folder)
        if not _flock(self._descriptor, fcntl.LOCK_EX):
            os.close(self._descriptor)
            raise Locked(_sentence(_holder(self._folder)))
        if _is_elsewhere(other) and not self._take_over:
            os.close(self._descriptor)
            raise Locked(_sentence(other))

    def _is_ours(self) -> bool:
        if self._descriptor < 0:
            return True
        try:
            named = (self._folder / "lock").stat()
        except OSError:
            return True
        held = os.fstat(self._descriptor)
        return (named.st_ino, named.st_dev) == (held.st_ino, held.st_dev)

    def _beat(self) -> None:
        while not self._stop.wait(self._mine.ttl_seconds / _BEATS_PER_TTL):
            self._renew()

    def _renew(self) -> None:
        if not self._is_ours():
            return
        record = {**self._mine.to_json(), "renewed": time.time()}
        # A full disk must not keep anybody from taking traffic back.
        with suppress(files.NotWritten):
            files.write(self._folder / _OWNER, json.dumps(record))


def owner(folder: Path) -> dict[str, Any] | None:
    """Who last held the lock, as it wrote itself down; None if nobody did."""
    try:
        record: dict[str, Any] = json.loads((folder / _OWNER).read_bytes())
        numbers: dict[str, float] = {"pid": int(record["pid"])}
        numbers |= {key: float(record[key]) for key in ("since", "renewed")}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return {**record, **numbers} if {"host", "purpose"} <= record.keys() else None


def folder_of(settings: OperatorSettings) -> Path:
    """Where a site's releases and their lock are, whatever else is wrong with the plan."""
    raw = settings.raw.get("release")
    named = raw.get("folder") if isinstance(raw, dict) else None
    chosen = Path(named).expanduser() if isinstance(named, str) and named else Path("releases")
    return (settings.file.parent / chosen).absolute()


def is_held(folder: Path) -> bool:
    """Whether a controller on this machine holds the lock now, or one elsewhere renews it."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR)
    except OSError:
        return False
    try:
        return not _flock(descriptor, fcntl.LOCK_SH) or _is_elsewhere(owner(folder))
    finally:
        os.close(descriptor)


def _flock(descriptor: int, kind: int) -> bool:
    def is_taken() -> bool:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    # A process that only looks holds it for an instant, so one refusal is no answer yet.
    return wait_until(is_taken, _LOOK_SECONDS, pause=0.02)


def _holder(folder: Path) -> dict[str, Any] | None:
    """Who has the lock now; one that has just taken it is given a moment to say so."""

    def alive() -> dict[str, Any] | None:
        record = owner(folder)
        return None if record is None or _is_dead(record) else record

    return wait_until(alive, _INTRODUCTION_SECONDS, pause=0.02)


def is_stopped(record: dict[str, Any] | None) -> bool:
    """Whether that controller is a process of this machine that was stopped, as by Ctrl-Z."""
    if record is None or record["host"] != socket.gethostname():
        return False
    import psutil

    try:
        return bool(psutil.Process(record["pid"]).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def _is_dead(record: dict[str, Any]) -> bool:
    if record["host"] != socket.gethostname():
        return False
    # Loaded when it is needed: every switch looks whether a release runs, and seldom one does.
    import psutil

    return not psutil.pid_exists(record["pid"])


def _is_elsewhere(record: dict[str, Any] | None) -> bool:
    if record is None or record["host"] == socket.gethostname():
        return False
    # abs(): a record from the future, after a clock stepped back, is as old as one from the past.
    age = abs(time.time() - float(record["renewed"]))
    return age <= float(record.get("ttl_seconds", TTL_SECONDS))


def _sentence(record: dict[str, Any] | None) -> str:
    if record is None:
        return "Another release is running. See `mina-ops release status`."
    since = time.strftime("%H:%M:%S", time.localtime(record["since"]))
    return (
        f"{record['purpose']} is running: {record.get('user')} on {record['host']}, process "
        f"{record['pid']}, since {since}. See `mina-ops release status`, or abort it."
    )
