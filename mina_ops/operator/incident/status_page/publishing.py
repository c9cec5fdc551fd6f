"""Changing a status page.

Every update replaces both files as a whole; status.json is the source, index.html is made of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mina_ops import files
from mina_ops.errors import ConfigurationError
from mina_ops.locks import held
from mina_ops.operator.config.incident import IncidentOptions
from mina_ops.operator.incident.status_page.model import STATES, Entry, Maintenance, Status
from mina_ops.operator.incident.status_page.rendering import page

MOST_CHARACTERS = 2000
_KEPT = 200
# A page that people on the internet read, through a web server that is another user.
_PUBLIC = 0o644
_PUBLIC_FOLDER = 0o755


@dataclass(frozen=True)
class StatusPage:
    """The page of one folder.

    Args:
        folder: where it lies; it is made when it is needed.
        title: what the product is called.
        components: its parts that users know by name, such as "Live transcription".
    """

    folder: Path
    title: str = "Mina"
    components: tuple[str, ...] = ()

    def publish(self, entry: Entry) -> Status:
        """Publish an update; what the page shows then.

        Its state is the state of the components that it names, or of all where it names none.

        Raises:
            ConfigurationError: state or component is unknown, or the text is empty or too long.
            NotWritten: the folder cannot be written; the page is as it was.
        """
        entry = replace(entry, text=_sentence(entry.text))
        if entry.state not in STATES:
            raise ConfigurationError(f"{entry.state!r} is none of {', '.join(STATES)}.")
        self._require_known(entry.components)

        def changed(status: Status) -> Status:
            named = entry.components or self.components
            states = {**status.components, **dict.fromkeys(named, entry.state)}
            updates = (entry, *status.updates)[:_KEPT]
            return replace(status, components=states, updates=updates)

        return self._change(entry.at, changed)

    def announce(self, work: Maintenance, now: datetime) -> Status:
        """Announce maintenance; no component's state changes.

        Raises:
            ConfigurationError: it ends before it begins or before now, or as `publish`.
            NotWritten: as `publish`.
        """
        work = replace(work, text=_sentence(work.text))
        if not max(work.begin, moment(now)) < work.end:
            raise ConfigurationError(
                f"Maintenance from {work.begin} to {work.end} has no time left."
            )
        self._require_known(work.components)

        def changed(status: Status) -> Status:
            planned = sorted({*status.planned, work}, key=lambda one: one.begin)
            return replace(status, planned=tuple(planned))

        return self._change(moment(now), changed)

    def call_off(self, now: datetime) -> Status:
        """Take all announced maintenance back. Raises NotWritten as `publish`."""
        return self._change(moment(now), lambda status: replace(status, planned=()))

    def read(self) -> Status:
        """What the page shows; nothing but the title and the components where there is none yet.

        Raises:
            ConfigurationError: its status.json is damaged.
        """
        file = self.folder / "status.json"
        try:
            raw: dict[str, Any] = json.loads(file.read_text())
            known = raw.get("components", {})
            states = {name: known.get(name, STATES[0]) for name in self.components}
            planned = tuple(Maintenance(**_frozen(one)) for one in raw.get("planned", ()))
            updates = tuple(Entry(**_frozen(one)) for one in raw["updates"])
            return Status(self.title, states, planned, updates)
        except FileNotFoundError:
            return Status(self.title, dict.fromkeys(self.components, STATES[0]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ConfigurationError(f"{file} cannot be read; move it away to begin anew.") from exc

    def _change(self, now: str, changed: Callable[[Status], Status]) -> Status:
        files.make_folder(self.folder, _PUBLIC_FOLDER)
        with held(self.folder / ".lock"):
            status = changed(self.read())
            ahead = tuple(work for work in status.planned if work.end > now)
            status = replace(status, planned=ahead)
            text = json.dumps(status.to_json(), indent=2) + "\n"
            files.write(self.folder / "status.json", text, _PUBLIC)
            files.write(self.folder / "index.html", page(status, now), _PUBLIC)
        return status

    def _require_known(self, components: tuple[str, ...]) -> None:
        unknown = [name for name in components if name not in self.components]
        if unknown:
            known = ", ".join(self.components) or "none; [incident] status_components names them"
            raise ConfigurationError(f"{unknown[0]!r} is no component. Known: {known}.")


def page_of(options: IncidentOptions) -> StatusPage:
    """The page that `[incident]` describes."""
    return StatusPage(options.status_folder, options.status_title, options.status_components)


def moment(at: datetime) -> str:
    """A time as the page keeps it: ISO, in UTC."""
    return at.astimezone(UTC).isoformat(timespec="seconds")


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    if not text or len(text) > MOST_CHARACTERS:
        raise ConfigurationError(f"An update has 1 to {MOST_CHARACTERS} characters.")
    return text


def _frozen(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {**raw, "components": tuple(raw.get("components", ()))}
