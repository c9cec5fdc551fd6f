"""Splits as files that nginx looks at: written aside, made durable, then put in place by a rename.

    <root>/current -> splits/7          replaced by rename(2), so always whole
    <root>/splits/7/split.json          generation, percent, cohorts
    <root>/splits/7/<second colour>/17  bucket 17 goes to the second colour
    <root>/splits/7/cohorts/<colour>/<user id>
    <root>/splits/7/releases/<colour>/<release>
    <root>/splits/7/mirror/<colour>/17          17 is one of the copies that go to the colour
    <root>/splits/7/mirror/seconds/1764497000   copies are made in this second

Every file is a link to split.json: one write to make durable instead of a hundred.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mina_ops import files
from mina_ops.errors import ConfigurationError, TrafficError
from mina_ops.locks import exclusive
from mina_ops.operator.traffic.mirror import Mirror
from mina_ops.operator.traffic.model import Split

_KEPT_SPLITS = 5
_DIRECTORY_MODE = 0o755
_FILE_MODE = 0o644
_MIRROR_UNTIL = "mirror_until"


@dataclass(frozen=True)
class StoredSplit:
    """A split that lies in the store whole, under its generation."""

    generation: int
    split: Split


class SplitStore:
    """The splits of one load balancer on this host.

    Args:
        root: the state folder.
        colours: both colours; the second one is the one that buckets name.
    """

    def __init__(self, root: Path, colours: tuple[str, str]) -> None:
        self.root = root
        self._colours = colours
        self._splits = root / "splits"
        self._current = root / "current"

    @contextmanager
    def lock(self, seconds: float = 10.0) -> Iterator[None]:
        """Hold the store alone; it is free again when this process ends, however it ends.

        Raises:
            TrafficError: another process held it for all of `seconds`, or the folder cannot be
                written.
        """
        try:
            _make_directory(self.root)
            _make_directory(self._splits)
        except OSError as exc:
            raise self._unwritable(exc) from exc
        with exclusive(self.root / "lock", seconds):
            yield

    def current(self) -> StoredSplit | None:
        """The split that `current` points to; None before the first one.

        Raises:
            TrafficError: it points to something that is no split.
        """
        file = self._current / "split.json"
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
            if int(time.time()) > value.get(_MIRROR_UNTIL, 0):
                value.pop("mirror", None)
            return StoredSplit(int(value["generation"]), Split.from_json(value))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, ConfigurationError) as exc:
            raise TrafficError(
                f"{file} cannot be read as a split; put it right, or remove "
                f"{self._current} and run `mina-ops traffic install`."
            ) from exc

    def write(self, split: Split) -> int:
        """Its new generation, whole and durable beside the current one, and not yet in place.

        When the disk is full, a kept split that says the same is taken instead, so that
        everybody can always be sent back to one colour.

        Raises:
            TrafficError: it cannot be written (disk full, no permission); nothing has changed.
        """
        self._remove_leftovers()
        generation = max(self._generations(), default=0) + 1
        draft = self._splits / f".draft-{generation}"
        try:
            self._write_draft(draft, generation, split)
            os.rename(draft, self._directory(generation))
            files.sync_folder(self._splits)
        except OSError as exc:
            shutil.rmtree(draft, ignore_errors=True)
            kept = self._kept(split)
            if kept is None:
                raise self._unwritable(exc) from exc
            return kept
        return generation

    def activate(self, generation: int) -> None:
        """Put a written split in place with one rename; durable when it returns.

        Raises:
            TrafficError: the link cannot be replaced; the earlier split is in place.
        """
        link = self.root / ".current-next"
        try:
            link.unlink(missing_ok=True)
            link.symlink_to(self._directory(generation).relative_to(self.root))
            os.replace(link, self._current)
            files.sync_folder(self.root)
        except OSError as exc:
            raise self._unwritable(exc) from exc

    def prune(self) -> None:
        """Remove all but the newest few splits; the current one stays, and a way to each colour."""
        current = self.current()
        keep = {current.generation} if current else set()
        ways = [self._kept(Split.all_to(colour, self._colours)) for colour in self._colours]
        keep.update(way for way in ways if way is not None)
        keep.update(sorted(self._generations())[-_KEPT_SPLITS:])
        for generation in self._generations():
            if generation not in keep:
                shutil.rmtree(self._directory(generation), ignore_errors=True)

    def _write_draft(self, draft: Path, generation: int, split: Split) -> None:
        _make_directory(draft)
        source = draft / "split.json"
        mirror, now = split.mirror, int(time.time())
        ends = {} if mirror is None else {_MIRROR_UNTIL: now + mirror.seconds}
        with source.open("w", encoding="utf-8") as file:
            json.dump({"generation": generation, **split.to_json(), **ends}, file)
            file.flush()
            os.fchmod(file.fileno(), _FILE_MODE)
            directories = [*self._link_buckets(source, split), *self._link_names(source, split)]
            directories += [] if mirror is None else _link_mirror(source, mirror, now)
            # All names are made before the first wait: a journal then needs one commit for them.
            os.fsync(file.fileno())
        for directory in (*directories, draft):
            files.sync_folder(directory)

    def _link_buckets(self, source: Path, split: Split) -> list[Path]:
        second = self._colours[1]
        names = [str(number) for number in range(split.percent[second])]
        return _link(source, source.parent / second, names)

    def _link_names(self, source: Path, split: Split) -> list[Path]:
        users: dict[str, list[str]] = {}
        for user, colour in split.cohorts.items():
            users.setdefault(colour, []).append(user)
        releases = {colour: [release] for colour, release in split.releases.items()}
        directories = []
        for kind, named in (("cohorts", users), ("releases", releases)):
            for colour, names in named.items():
                directories += _link(source, source.parent / kind / colour, names)
            directories += [source.parent / kind] if named else []
        return directories

    def _generations(self) -> list[int]:
        return [int(entry.name) for entry in self._splits.iterdir() if entry.name.isdecimal()]

    def _kept(self, split: Split) -> int | None:
        """The newest generation that says this split."""
        wanted = split.to_json()
        for generation in sorted(self._generations(), reverse=True):
            with suppress(OSError, ValueError):
                found = json.loads((self._directory(generation) / "split.json").read_text())
                if found == {"generation": generation, **wanted}:
                    return generation
        return None

    def _directory(self, generation: int) -> Path:
        return self._splits / str(generation)

    def _remove_leftovers(self) -> None:
        for draft in self._splits.glob(".draft-*"):
            shutil.rmtree(draft, ignore_errors=True)

    def _unwritable(self, error: OSError) -> TrafficError:
        return TrafficError(
            f"Cannot write in {self.root}: {error.strerror}. Traffic is as it was; make room or "
            "give permission, then try again."
        )


def _link(source: Path, directory: Path, names: list[str]) -> list[Path]:
    """Make a directory of links; none where it would be empty, since each delays the switch."""
    if not names:
        return []
    _make_directory(directory.parent)
    _make_directory(directory)
    for name in names:
        os.link(source, directory / name)
    return [directory]


def _link_mirror(source: Path, mirror: Mirror, now: int) -> list[Path]:
    """nginx compares no times: it looks for the file of the present second."""
    folder = source.parent / "mirror"
    seconds = range(now, now + mirror.seconds + 1)
    made = _link(source, folder / mirror.to, [str(bucket) for bucket in range(mirror.percent)])
    return [*made, *_link(source, folder / "seconds", [str(at) for at in seconds]), folder]


def _make_directory(path: Path) -> None:
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        # nginx's workers are another user, whatever umask this process has.
        path.chmod(_DIRECTORY_MODE)
