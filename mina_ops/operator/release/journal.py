"""The journal of a release: what was begun and what was done, written down before and after.

One file of JSON lines for each release. An entry is on disk before the step that it announces
is taken, so whoever finds the file after a crash knows what may have happened.
"""

from __future__ import annotations

import calendar
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mina_ops import files
from mina_ops.errors import ConfigurationError, OperatorError
from mina_ops.operator.release.model import ENDED, FORWARD, Phase

_FILE = "journal.jsonl"
_STAMP = "%Y%m%d-%H%M%S"
# Not `.` or `..`: a version is a part of paths, in hooks of the host as well.
_VERSION = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.][A-Za-z0-9._-]{0,63}")
_ID = re.compile(rf"[0-9]{{8}}-[0-9]{{6}}-{_VERSION.pattern}")


@dataclass(frozen=True)
class Entry:
    """One line: `event` is `begin`, `end`, `step`, `note` or `request`; `at` is unix seconds."""

    at: float
    event: str
    phase: Phase
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """What the entries add up to.

    `phase` is the one last begun; `finished` says whether it ended too. `percent` is the share
    that the new colour was last given (begun counts: it may have been applied).
    """

    phase: Phase
    finished: bool
    percent: int
    detail: Mapping[str, Any]
    started: bool = True
    """Whether any phase was begun."""

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to do."""
        return self.phase in ENDED and (self.finished or self.phase is not Phase.DONE)

    def to_do(self) -> tuple[Phase, ...]:
        """The phases still to run, the interrupted one first."""
        if self.ended or self.phase not in FORWARD:
            return ()
        start = FORWARD.index(self.phase) + self.finished
        return FORWARD[start:]


class Journal:
    """A release's journal in its own folder; entries are appended and fsynced one by one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / _FILE

    @property
    def release_id(self) -> str:
        """The folder's name: time of the start and version."""
        return self.folder.name

    @property
    def version(self) -> str:
        """The version that it is about, from its id."""
        return self.release_id.split("-", 2)[-1]

    @classmethod
    def create(cls, root: Path, version: str, *, now: float | None = None) -> Journal:
        """A new journal under `root`, with an id made of the time (UTC) and the version.

        Ids sort in the order of creation, also when the clock was stepped back.

        Raises:
            NotWritten: the folder cannot be made.
            ConfigurationError: the version cannot be part of a file's name.
        """
        moment = max(time.time() if now is None else now, _newest_start(root) + 1)
        check_version(version)
        folder = root / f"{time.strftime(_STAMP, time.gmtime(moment))}-{version}"
        try:
            root.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
            files.sync_folder(root)
        except OSError as exc:
            raise files.NotWritten(f"No journal can be kept in {root}: {exc.strerror}.") from exc
        return cls(folder)

    def write(self, event: str, phase: Phase, **detail: Any) -> None:
        """Append an entry; returns when it is on disk.

        Raises:
            NotWritten: it could not be written whole; the file is as it was before.
        """
        files.append(
            self.path, json.dumps({"at": time.time(), "event": event, "phase": phase, **detail})
        )

    def entries(self) -> list[Entry]:
        """All whole entries, oldest first; a last line that a crash cut short is left out.

        Raises:
            OperatorError: it cannot be read, or a line before the last is damaged.
        """
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise OperatorError(f"Cannot read {self.path}: {exc.strerror}.") from exc
        found = []
        for number, line in enumerate(lines[:-1], start=1):
            try:
                found.append(_entry(json.loads(line)))
            except (ValueError, KeyError, TypeError) as exc:
                raise OperatorError(
                    f"{self.path}, line {number}, is damaged. See where traffic is with "
                    "`mina-ops traffic read`, send it where it belongs with `mina-ops switch`, "
                    f"then move {self.folder} away."
                ) from exc
        return found

    def progress(self) -> Progress:
        """Where the release stands."""
        phase, finished, percent = Phase.CHECKS, False, 0
        detail: dict[str, Any] = {}
        started = False
        for entry in self.entries():
            detail |= entry.detail
            percent = int(entry.detail.get("percent", percent))
            if entry.event in ("begin", "end"):
                phase, finished, started = entry.phase, entry.event == "end", True
        return Progress(phase, finished, percent, detail, started)


def latest(root: Path) -> Journal | None:
    """The newest release's journal, if there is any."""
    found = history(root)
    return found[0] if found else None


def named(root: Path, name: str | None) -> Journal:
    """The newest release of that id or version; None: the newest of all.

    Raises:
        ConfigurationError: there is none.
    """
    for journal in history(root):
        if name in (None, journal.release_id, journal.version):
            return journal
    raise ConfigurationError(f"No release {name or ''} here; see `mina-ops release history`.")


def history(root: Path) -> list[Journal]:
    """All journals under `root`, the newest first; one without a whole line is none."""
    if not root.is_dir():
        return []
    folders = [folder for folder in root.iterdir() if _ID.fullmatch(folder.name) and _begun(folder)]
    return [Journal(folder) for folder in sorted(folders, key=lambda f: f.name, reverse=True)]


def check_version(version: str) -> None:
    """Return if a release may have this name.

    Raises:
        ConfigurationError: it cannot be part of a file's name.
    """
    if not _VERSION.fullmatch(version):
        raise ConfigurationError(
            f"{version!r} cannot name a release: use up to 64 letters, digits and ._-, and begin "
            "with none but a letter, a digit, a dot or _."
        )


def _begun(folder: Path) -> bool:
    # On a full disk, or at a crash, a file may be made and its first line not written.
    try:
        with (folder / _FILE).open("rb") as file:
            return file.readline().endswith(b"\n")
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise OperatorError(f"Cannot read {folder / _FILE}: {exc.strerror}.") from exc


def _entry(raw: dict[str, Any]) -> Entry:
    at, event, phase = raw.pop("at"), raw.pop("event"), Phase(raw.pop("phase"))
    return Entry(float(at), str(event), phase, raw)


def _newest_start(root: Path) -> float:
    found = latest(root)
    if found is None:
        return 0.0
    stamp = "-".join(found.release_id.split("-")[:2])
    return float(calendar.timegm(time.strptime(stamp, _STAMP)))
