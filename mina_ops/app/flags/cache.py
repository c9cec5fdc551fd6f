"""Keeps the snapshot from which a process answers flags, and follows the shared store with it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from mina_ops.app.flags.continuity import Known, reconcile
from mina_ops.app.flags.evaluate import Place
from mina_ops.app.flags.last_known import LastKnownFile
from mina_ops.app.flags.model import Pair
from mina_ops.app.flags.snapshot import Snapshot, build
from mina_ops.app.flags.told_by_peers import ToldByPeers
from mina_ops.app.forks import call_in_children
from mina_ops.app.state import keys
from mina_ops.app.state.base import Change, Register, Store
from mina_ops.errors import StateUnavailable

_log = logging.getLogger(__name__)

_REREAD_SECONDS = 30.0
"""How often all flags are read although their version is unchanged: after a failover of Redis, two
changes may have had the same version number."""


class Cache:
    """Holds the present snapshot: to read it never blocks, to refresh it asks the store.

    Args:
        store: where the flags are.
        place: the colour and release that flags are compiled for.
        file: the file of last known flags, read at the start and written by `keep`.
        stale_seconds: a snapshot that was not confirmed for this long is stale.
        on_change: called with each new snapshot.
    """

    def __init__(
        self,
        store: Store,
        place: Place,
        *,
        file: LastKnownFile | None,
        stale_seconds: float,
        on_change: Callable[[Snapshot], None],
    ) -> None:
        self.snapshot = Snapshot()
        self.applied: tuple[str, int] = ("", 0)
        self._store = store
        self._place = place
        self._file = file
        self._peers = ToldByPeers(store)
        self._stale_seconds = stale_seconds
        self._on_change = on_change
        self._confirmed_at: float | None = None
        self._read_at = 0.0
        self._refreshing = threading.Lock()
        call_in_children(self.renew_lock)
        if file is not None:
            self.snapshot = build(file.read(), place, self.snapshot)
            on_change(self.snapshot)

    @property
    def age_seconds(self) -> float | None:
        """Seconds since the store last confirmed the snapshot; None: it never did."""
        confirmed_at = self._confirmed_at
        return None if confirmed_at is None else round(time.monotonic() - confirmed_at, 3)

    @property
    def alert(self) -> str | None:
        """In words, how the store lost flags that this process knows; None: it has lost none."""
        return self.snapshot.known.loss

    @property
    def stale(self) -> bool:
        """Whether the snapshot may differ from what the store holds."""
        if self.alert is not None:
            return True
        age = self.age_seconds
        return self._store.shared and (age is None or age > self._stale_seconds)

    def refresh(self, *, hinted: bool = False, version: tuple[str, int] | None = None) -> bool:
        """Bring the snapshot up to date; True if it changed. Raises StateUnavailable.

        Args:
            hinted: something did change, so the version is not asked first, which saves a round
                trip.
            version: epoch and version in the store, if they were read just now.
        """
        with self._refreshing:
            asked_at = time.monotonic()
            changed = False
            if (
                hinted
                or asked_at - self._read_at > _REREAD_SECONDS
                or (version or self._store.read_version(keys.FLAGS)) != self.applied
            ):
                register = self._store.read_register(keys.FLAGS)
                changed = self._apply(register, lost=self._lost(register))
                self._read_at = asked_at
            if self.alert is not None and self._store.shared:
                self._peers.tell(self.snapshot.known)
            self._confirmed_at = asked_at
            return changed

    def follow(
        self, before: Register, change: Change, done: Register, pairs: Mapping[str, Pair]
    ) -> None:
        """Let the snapshot follow a change that this process made; never fails.

        If nobody else changed anything in between, what the store holds now is computed, not read.

        Args:
            before: what was in the store when the change was computed.
            done: epoch and version that the change made.
            pairs: the entries that it changed, which need not be read.
        """
        if done.version != before.version + 1 or before.epoch not in ("", done.epoch):
            self.try_refresh()
            return
        kept = {k: v for k, v in before.entries.items() if k not in change.remove}
        with self._refreshing:
            if self.applied[0] == done.epoch and self.applied[1] >= done.version:
                return  # another thread has read this change, or a later one, from the store
            self._confirmed_at = time.monotonic()
            present = Register(done.epoch, done.version, {**kept, **change.put})
            self._apply(present, pairs)

    def renew_lock(self) -> None:
        """Take a new lock.

        A fork may copy the lock while another thread of the parent holds it; and gevent may have
        patched locks since this one was made.
        """
        self._refreshing = threading.Lock()

    def try_refresh(self) -> None:
        """Refresh if the store answers; else the next beat does."""
        try:
            self.refresh()
        except StateUnavailable:
            return

    def refresh_within(self, seconds: float) -> None:
        """`try_refresh`, waited for at most `seconds`: a look-up of the store's name may hang.

        Such a look-up knows no time limit of the client and lasts half a minute. It ends in a
        thread of its own, while the host starts with the flags of the file.
        """
        asking = threading.Thread(target=self.try_refresh, name="mina_ops-first-flags", daemon=True)
        asking.start()
        asking.join(seconds)

    def keep(self) -> None:
        """Write the file of last known flags, if the flags changed since it was written."""
        if self._file is not None:
            self._file.write(self.snapshot.known)

    def _lost(self, register: Register) -> Known | None:
        """What the store has lost, if peers know it and this process does not; else None."""
        if self.alert is not None or not self._store.shared:
            return None
        return self._peers.find(register)

    def _apply(
        self,
        register: Register,
        own: Mapping[str, Pair] | None = None,
        *,
        lost: Known | None = None,
    ) -> bool:
        before = self.snapshot
        known = reconcile(lost or before.known, register)
        self.applied = (register.epoch, register.version)
        if known.loss != before.known.loss:
            _tell(known)
        if known == before.known:
            return False
        self.snapshot = build(known, self._place, before, own)
        self._on_change(self.snapshot)
        return True


def _tell(known: Known) -> None:
    if known.loss is None:
        _log.info("The flags continue in the store")
        return
    _log.error(
        "Flags: %s. The %d flags known before stay in force, marked stale. Restore them with "
        "`mina-ops flags recover --restore`, or accept the loss with `--discard`.",
        known.loss,
        len(known.entries),
    )
