"""The lock beside the load balancer's state: who may move traffic, also while the app is away.

The file names the holder until its time runs out. That is measured by this machine's monotonic
clock and its boot, so that a wall clock that steps frees nothing and keeps nothing.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mina_ops import files
from mina_ops.errors import OperatorError, TrafficError
from mina_ops.locks import exclusive
from mina_ops.operator.api.leases import Holder

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_READABLE = 0o644


class StateLock:
    """The lock of one load balancer on this host; each step is atomic.

    Args:
        file: where the holder is written; beside it lies a lock for the steps themselves.

    Every method raises TrafficError if the folder cannot be written.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def hold(self, mine: Holder) -> Holder:
        """Who holds it now: `mine`, or somebody else. Again by the same id renews it."""
        with exclusive(self._file.with_suffix(".lock")):
            other = self.holder()
            if other is not None and other.id != mine.id:
                return other
            since = time.time() if other is None else other.since
            held = replace(mine, since=since)
            value = {"boot": _boot(), "until": time.monotonic() + mine.ttl_seconds}
            try:
                files.write(self._file, json.dumps({**held.to_json(), **value}), _READABLE)
            except OperatorError as exc:
                raise TrafficError(f"{exc} Traffic is as it was.") from exc
        return mine

    def free(self, lease_id: str) -> None:
        """Give it back; nothing happens unless `lease_id` holds it."""
        with exclusive(self._file.with_suffix(".lock")):
            held = self.holder()
            if held is not None and held.id == lease_id:
                self._file.unlink(missing_ok=True)

    def holder(self) -> Holder | None:
        """Who holds it; None: nobody, or its time ran out."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            value = json.loads(self._file.read_text(encoding="utf-8"))
            if value["boot"] == _boot() and time.monotonic() < float(value["until"]):
                return Holder.from_json(value)
        return None


def _boot() -> str:
    with suppress(OSError):
        return _BOOT.read_text(encoding="ascii").strip()
    return ""
