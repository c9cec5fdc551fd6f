"""Requests to a running release: pause, resume, promote, abort. Abort outranks everything.

They are lines of a file beside the journal: a controller in another process reads them, and they
are still there when a release whose controller died is resumed.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from mina_ops import files
from mina_ops.errors import OperatorError
from mina_ops.operator.system.people import whoami

_FILE = "requests.jsonl"
KINDS = ("pause", "resume", "promote", "abort")


@dataclass(frozen=True)
class Request:
    """Somebody's request; `number` counts them from 1."""

    number: int
    kind: str
    who: str
    why: str


class Control:
    """The requests of one release, each taken once by the controller that holds the lock."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._taken: set[int] = set()

    def prepare(self) -> None:
        """Make the file, so that it is the controller's though another user asks first.

        Raises:
            NotWritten: the folder cannot be written.
        """
        try:
            self._path.touch(files.PRIVATE)
        except OSError as exc:
            raise files.NotWritten(f"{self._path} cannot be made: {exc.strerror}.") from exc

    def ask(self, kind: str, why: str = "", *, who: str | None = None) -> None:
        """Add a request; `who` asks, by default whoever runs this.

        Raises:
            NotWritten: the disk is full or the folder cannot be written.
        """
        record = {"at": time.time(), "kind": kind, "who": who or whoami(), "why": why}
        files.append(self._path, json.dumps(record))

    def skip_old(self, kind: str | None = None) -> None:
        """Drop the requests of this kind (default: of any) that were made so far, but no abort."""
        self._taken |= {
            request.number
            for request in self._pending()
            if request.kind != "abort" and kind in (None, request.kind)
        }

    def forget(self) -> None:
        """Drop all requests that were made so far, aborts too, since they are being obeyed."""
        self._taken |= {request.number for request in self._pending()}

    def take(self, *kinds: str) -> Request | None:
        """The next request of these kinds, of any by default, each once.

        An abort comes before all others, however late it was made, and they are void then.

        Raises:
            OperatorError: they cannot be read, so nobody could abort.
        """
        pending = self._pending()
        for request in pending:
            if request.kind == "abort":
                self._taken |= {one.number for one in pending}
                return request
        for request in pending:
            if not kinds or request.kind in kinds:
                self._taken.add(request.number)
                return request
        return None

    def has_abort(self) -> bool:
        """Whether an abort waits to be taken; False where that cannot be read just now."""
        try:
            return any(request.kind == "abort" for request in self._pending())
        except OperatorError:
            return False

    def _pending(self) -> list[Request]:
        lines = enumerate(self._lines(), start=1)
        found = [_request(number, line) for number, line in lines if number not in self._taken]
        return [request for request in found if request is not None]

    def _lines(self) -> list[bytes]:
        try:
            return self._path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise OperatorError(f"{self._path} cannot be read: {exc.strerror}.") from exc


def _request(number: int, line: bytes) -> Request | None:
    """The request of a line; None where the line is damaged, which must end no release."""
    try:
        raw = json.loads(line)
        kind, who, why = raw["kind"], str(raw["who"]), str(raw["why"])
    except (ValueError, KeyError, TypeError):
        return None
    return Request(number, kind, who, why) if kind in KINDS else None
