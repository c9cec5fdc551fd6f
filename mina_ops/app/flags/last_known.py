"""The file of last known flags, for a start while the store is away."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
from pathlib import Path

from mina_ops import files, locks
from mina_ops.app.flags.continuity import Known
from mina_ops.app.settings import Settings

_log = logging.getLogger(__name__)

_FORMAT = 1
_LARGEST = 64 << 20
_UNUSABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


class LastKnownFile:
    """Keeps flags across restarts; a file that cannot be used is logged once, never raised.

    Written as a temporary file, synced and renamed, mode 0600, so that a reader finds a whole
    one or none. Processes of one host share it: they write in turn, and one that was held up
    leaves a later version alone, so that no kill is forgotten. What could not be written now,
    since the disk is full or another process writes, is tried again with the next beat.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written: Known | None = None
        self._warned = False

    def read(self) -> Known:
        """What the file holds; nothing if it is absent, damaged or not ours alone."""
        try:
            return _read(self.path)
        except FileNotFoundError:
            return Known()
        except _UNUSABLE as exc:
            self._warn("read", exc)
            return Known()

    def write(self, known: Known) -> None:
        """Keep what is known, unless the file holds that or a later version already."""
        if not known.epoch or known is self._written:
            return
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locks.if_free(self.path.with_name(f".{self.path.name}.lock")) as is_ours:
                if not is_ours:
                    return
                if not _holds_later(self.path, known):
                    files.write(self.path, body_of(known))
        except (OSError, files.NotWritten) as exc:
            self._warn("written", exc.__cause__ or exc)
            return
        self._written, self._warned = known, False

    def _warn(self, what: str, exc: BaseException) -> None:
        if not self._warned:
            _log.warning("The file of last known flags %s cannot be %s: %s", self.path, what, exc)
        self._warned = True


def _read(path: Path) -> Known:
    with path.open("rb") as file:
        _refuse_foreign(os.fstat(file.fileno()))
        return known_of(file.read(_LARGEST))


def known_of(body: bytes) -> Known:
    """What `body_of` put into bytes; raises one of several errors if it is not that."""
    raw = json.loads(body)
    if raw["format"] != _FORMAT:
        raise ValueError(f"unknown format {raw['format']!r}")
    entries = {str(key): str(text).encode() for key, text in raw["flags"].items()}
    return Known(str(raw["epoch"]), int(raw["version"]), entries)


def _holds_later(path: Path, known: Known) -> bool:
    try:
        held = _read(path)
    except _UNUSABLE:
        return False
    return held.epoch == known.epoch and held.version > known.version


def body_of(known: Known) -> bytes:
    """What is known, as bytes; without how the store lost it, which each reader finds out."""
    body = {
        "format": _FORMAT,
        "epoch": known.epoch,
        "version": known.version,
        "flags": {key: raw.decode() for key, raw in known.entries.items()},
    }
    return json.dumps(body).encode()


def last_known_file(settings: Settings) -> LastKnownFile | None:
    """The file that the settings name, or one in the user's cache for each shared store.

    None without a shared store, whose flags end with the process anyway, and where there is
    no home.
    """
    if settings.redis_url is None:
        return None
    if settings.flags_file is not None:
        return LastKnownFile(Path(settings.flags_file).expanduser())
    name = hashlib.sha256(settings.redis_url.encode()).hexdigest()[:16]
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return LastKnownFile(cache / "mina_ops" / f"flags-{name}.json")


def _refuse_foreign(status: os.stat_result) -> None:
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ValueError("others could have written it; delete it")
