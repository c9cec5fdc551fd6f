"""Reads on each beat what the console shows and nothing else keeps in memory, while one looks."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

from mina_ops.app.admin.audit import Entry
from mina_ops.app.console.history import History
from mina_ops.app.console.releases import newest_release
from mina_ops.app.context import Context
from mina_ops.app.drain.model import Order
from mina_ops.app.drain.orders import Orders
from mina_ops.app.flags.component import Flags
from mina_ops.app.releases.freeze import Freeze, ReleaseFreeze
from mina_ops.errors import StateUnavailable

LOOKING_SECONDS = 10.0
"""How long after the last look at the console a process goes on reading for it."""

_CHANGES = 30
_FLAG_RECORDS = 400

Body = dict[str, Any]


class Watching:
    """Drain orders, the last changes, who changed which flag, the release, and the last hour.

    Attributes:
        orders: colour -> its drain order, a cancelled one too.
        changes: the newest entries of the audit log, newest first.
        flag_authors: flag -> (actor, Unix time) of its last change.
        release: the newest release; None: nobody reported one.
        freeze: the freeze that holds; None: none does.
        read_at: when all of it was read last, monotonic; None: never.
        failed: whether the last try failed.
    """

    def __init__(self, context: Context, flags: Flags) -> None:
        self._context = context
        self._flags = flags
        self._colours = list(context.identity.colours)
        self._looked_at = -LOOKING_SECONDS
        self._flags_read: object = None
        self.history = History(context.store, self._colours)
        self.orders: Mapping[str, Order | None] = {}
        self.changes: list[Entry] = []
        self.flag_authors: dict[str, tuple[str, float]] = {}
        self.release: Body | None = None
        self.freeze: Freeze | None = None
        self.read_at: float | None = None
        self.failed = False

    def look(self) -> None:
        """Note that somebody looks, so the beats read for 10 s; the first look reads at once."""
        was_idle = not self.looking
        self._looked_at = time.monotonic()
        if was_idle:
            with suppress(StateUnavailable):
                self.beat(self._context.clock.now())

    @property
    def silent_seconds(self) -> float:
        """How long ago all was read last; endless before the first time."""
        return math.inf if self.read_at is None else time.monotonic() - self.read_at

    @property
    def looking(self) -> bool:
        """Whether somebody has looked lately."""
        return time.monotonic() - self._looked_at < LOOKING_SECONDS

    def beat(self, now: float) -> None:
        """Read everything again if somebody looks; raises StateUnavailable, and keeps the old."""
        if not self.looking:
            return
        try:
            self._read(now)
        except StateUnavailable:
            self.failed = True
            raise
        self.failed = False
        self.read_at = time.monotonic()

    def _read(self, now: float) -> None:
        context = self._context
        orders = Orders(context.store, context.identity, context.audit).read_all(None)
        self.orders = {colour: orders[colour] for colour in self._colours}
        self.release = newest_release(self._context)
        self.freeze = ReleaseFreeze(context.store, context.clock).read()
        self.changes = self._context.audit.newest(_CHANGES)
        self._read_flag_authors()
        self.history.beat(now)

    def _read_flag_authors(self) -> None:
        applied = self._flags.cache.applied
        if applied == self._flags_read:
            return
        found: dict[str, tuple[str, float]] = {}
        for record in islice(self._flags.editor.records(), _FLAG_RECORDS):
            for key in record.entries:
                found.setdefault(key, (record.author.actor, record.at))
        self.flag_authors = found
        self._flags_read = applied
