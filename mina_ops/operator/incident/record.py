"""The record of incidents: one file for each, a JSON line for each thing that happened.

A line is on the disk before the call returns; a half-written last line is passed over.
"""

from __future__ import annotations

import getpass
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mina_ops import files
from mina_ops.errors import ConfigurationError


@dataclass(frozen=True)
class Incident:
    """One incident; `kind` is such as `hotline` or `security`."""

    name: str
    kind: str
    file: Path
    events: tuple[dict[str, Any], ...]

    @property
    def open(self) -> bool:
        """Whether it goes on."""
        return bool(self.events) and self.events[-1].get("event") != "closed"

    @property
    def severity(self) -> str | None:
        """Its severity, if it has one."""
        found = self.events[0].get("severity") if self.events else None
        return str(found) if found else None


def begin(folder: Path, kind: str, now: datetime, **more: Any) -> Incident:
    """A new incident, named by its kind and time."""
    files.make_folder(folder)
    name = f"{now:%Y%m%dT%H%M%S}-{kind}"
    file = folder / f"{name}.jsonl"
    if file.exists():
        raise ConfigurationError(f"{file} exists already; wait a second.")
    incident = Incident(name, kind, file, ())
    return note(incident, "opened", now, **more)


def note(incident: Incident, event: str, now: datetime, **more: Any) -> Incident:
    """The incident with one more line, which is on the disk."""
    line = {"at": now.isoformat(timespec="seconds"), "by": _who(), "event": event, **more}
    files.append(incident.file, json.dumps(line, sort_keys=True))
    return Incident(incident.name, incident.kind, incident.file, (*incident.events, line))


def incidents(folder: Path, kind: str | None = None) -> list[Incident]:
    """Every incident in a folder, the newest first."""
    found = []
    for file in sorted(folder.glob("*.jsonl"), reverse=True) if folder.is_dir() else []:
        its_kind = file.stem.partition("-")[2]
        if kind is None or kind == its_kind:
            found.append(Incident(file.stem, its_kind, file, _events(file)))
    return found


def ongoing(folder: Path, kind: str) -> Incident | None:
    """The newest incident of a kind that is still open."""
    return next((item for item in incidents(folder, kind) if item.open), None)


def _events(file: Path) -> tuple[dict[str, Any], ...]:
    found = []
    for line in file.read_text(errors="replace").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            found.append(event)
    return tuple(found)


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
