"""One release at a time: a lock with an owner, a time to live and a heartbeat.

On one machine the kernel's file lock is the truth: it goes with its process, whatever ends it.
Between machines that share the folder, the owner's record counts as long as it is renewed.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from mina_ops import files
from mina_ops.errors import Locked
from mina_ops.operator.system.people import whoami

TTL_SECONDS = 30.0
_OWNER = "owner.json"
_BEATS_PER_TTL = 3
_INTRODUCTION_SECONDS = 2.0


class ReleaseLock:
    """A context manager that holds the lock in `folder` and renews its record.

    Raises on entering:
        Locked: another controller has it; the message says who, where and since when.
        NotWritten: the lock file cannot be made or opened.
    """

    def __init__(self, folder: Path, purpose: str, *, ttl_seconds: float = TTL_SECONDS) -> None:
        self._folder = folder
        self._purpose = purpose
        self._ttl = ttl_seconds
        self._descriptor = -1
        self._stop = threading.Event()
        self._since = time.time()
        self._thread = threading.Thread(
            target=self._beat, name="mina_ops-release-lock", daemon=True
        )

    def __enter__(self) -> ReleaseLock:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as exc:
            raise files.NotWritten(f"{self._folder} cannot be locked: {exc.strerror}.") from exc
        other = owner(self._folder)
        if not _flock(self._descriptor, fcntl.LOCK_EX):
            os.close(self._descriptor)
            raise Locked(_sentence(_holder(self._folder)))
        if _is_elsewhere(other):
            os.close(self._descriptor)
            raise Locked(_sentence(other))
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
        self._thread.join(self._ttl)
        with suppress(OSError):
            (self._folder / _OWNER).unlink()
        os.close(self._descriptor)

    def _beat(self) -> None:
        while not self._stop.wait(self._ttl / _BEATS_PER_TTL):
            self._renew()

    def _renew(self) -> None:
        record = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "user": whoami(),
            "purpose": self._purpose,
            "since": self._since,
            "renewed": time.time(),
            "ttl_seconds": self._ttl,
        }
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
    # Someone who only looks holds it for an instant, so one refusal is no answer yet.
    for _ in range(5):
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False


def _holder(folder: Path) -> dict[str, Any] | None:
    """Who has the lock now; one that has just taken it is given a moment to say so."""
    deadline = time.monotonic() + _INTRODUCTION_SECONDS
    while (record := owner(folder)) is None or _is_dead(record):
        if time.monotonic() > deadline:
            return None
        time.sleep(0.02)
    return record


def _is_dead(record: dict[str, Any]) -> bool:
    return record["host"] == socket.gethostname() and not psutil.pid_exists(record["pid"])


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
