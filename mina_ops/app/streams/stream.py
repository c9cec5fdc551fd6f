"""What a process knows of one stream, and the rules by which its chunks are handled in turn."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, RLock
from typing import Protocol

from mina_ops.app.streams.errors import OutOfOrder, SessionLeaves, StreamTaken

# How long a chunk waits for the one before it, which another thread may have received already.
GAP_SECONDS = 1.0
# How long it waits where the mark may be behind: to skip a chunk that was only slow would lose it.
UNSURE_GAP_SECONDS = 5.0
# A chunk is refused at once if it is this far ahead of the next one, or if this many wait: each
# holds a thread. Our own clients have at most 8 on the way.
MOST_AHEAD = 64
MOST_WAITING = 32
# A client repeats what was not acknowledged, at most this many. One that goes back further is
# another client, which counts from 1 again.
MOST_BACK = 64
# How far the mark in the store may be behind the real one, if the store lost writes.
MOST_LOST = 1000
# A chunk that waits is woken when its turn may have come; it also looks this often, in case a wake-
# up is missed. Not more often: thousands of waiting chunks once kept a full worker busy with that.
LOOK_SECONDS = 5.0


class Session(Protocol):
    """The attributes of a session that streams read and change, see `sessions/session.py`."""

    sid: str
    leaving: bool
    ended: bool
    receiving: int
    runs: dict[str, str]
    waiting: set[Condition]
    """Conditions to notify when it leaves or ends."""


@dataclass
class Stream:
    """What this process knows of one stream."""

    lock: RLock = field(default_factory=RLock)
    """Held to read or change the other attributes; chunks that wait for their turn release it."""
    turns: dict[Condition, int] = field(default_factory=dict)
    """The condition on which each waiting chunk waits -> the chunk's number."""
    mark: int = 0
    """The last acknowledged number; 0: none."""
    owner: str | None = None
    """Sid of the session that sent the last chunk."""
    sure: bool = False
    """Whether `mark` cannot be behind: `owner` sends here, so no other process gets its chunks."""
    failed: bool = False
    """Whether the last body raised: its effect may have been kept all the same."""
    running: bool = False
    """Whether a body runs now."""
    arrived: list[int] = field(default_factory=list)
    """Numbers of chunks that wait for their turn, or for the mark to be read from the store."""
    used_at: float = 0.0
    """When a chunk came or was done last, on the monotonic clock."""
    run: str | None = None
    """Which run of a client sends it, see `check_run`; None: its client does not say."""
    is_run_unsaved: bool = False
    """Whether the store does not know `run` yet."""
    is_known: bool = False
    """Whether any mark of it was ever found, here or in the store."""

    def wait_for_turn(
        self, name: str, seq: int, session: Session | None, *, may_jump: bool
    ) -> None:
        """Return when the chunk is next or a duplicate; the caller holds `lock`.

        Args:
            name: the stream's id, for messages.
            seq: the chunk's number.
            session: the session that sent it.
            may_jump: whether, if the chunks before it never come, it counts as next where the mark
                may be behind.

        Raises:
            OutOfOrder: the chunk before it is missing.
            SessionLeaves: its session has ended, or leaves.
        """
        if self._is_early(seq):
            with self._turn(seq, session) as turn:
                self._wait(turn, name, seq, session, may_jump=may_jump)
        if seq > self.mark and _is_over(session):
            # A busy process may come to it so late that its client sends it elsewhere already.
            raise SessionLeaves(f"Stream {name}: its session ends here.")

    def _wait(
        self, turn: Condition, name: str, seq: int, session: Session | None, *, may_jump: bool
    ) -> None:
        waits_since = time.monotonic()
        while self._is_early(seq):
            if _is_over(session):
                raise SessionLeaves(f"Stream {name}: its session ends here.")
            self._refuse_what_is_far(name, seq, may_jump=may_jump)
            patience = GAP_SECONDS if self.sure else UNSURE_GAP_SECONDS
            left = waits_since + patience - time.monotonic()
            if self.running or min(self.arrived) < seq:
                turn.wait(LOOK_SECONDS)
                waits_since = time.monotonic()
            elif left > 0:
                turn.wait(left)
            elif self.sure or not may_jump:
                raise self._missing(name, seq)
            else:
                # The store has lost the mark or is behind. The client still has every chunk that
                # was not acknowledged, and sends the oldest first, so this one is next.
                self.mark = seq - 1

    def _is_early(self, seq: int) -> bool:
        return seq > self.mark + 1 or (self.running and seq == self.mark + 1)

    @contextmanager
    def _turn(self, seq: int, session: Session | None) -> Iterator[Condition]:
        """A condition that is notified when the chunk's turn may have come, or its session ends."""
        turn = Condition(self.lock)
        self.turns[turn] = seq
        if session is not None:
            session.waiting.add(turn)
        try:
            yield turn
        finally:
            del self.turns[turn]
            if session is not None:
                session.waiting.discard(turn)

    def pass_on(self) -> None:
        """Wake the chunks whose turn may have come; the caller holds `lock`.

        These are the next one, duplicates of what is done, and the first that waits, which then
        begins to count how long the one before it is missing. Example: 5 is done, and 7, 8 and 9
        wait: 7 is woken, 8 and 9 are not.
        """
        last = self.mark
        if not self.running:
            last = max(self.mark + 1, min(self.arrived, default=0))
        for turn, seq in self.turns.items():
            if seq <= last:
                turn.notify()

    def _refuse_what_is_far(self, name: str, seq: int, *, may_jump: bool) -> None:
        """Refuse at once a chunk that would only hold a thread: too far ahead, or too many wait."""
        ahead = seq - self.mark - 1
        is_crowded = len(self.arrived) > MOST_WAITING and seq > min(self.arrived)
        most = MOST_AHEAD
        if not self.sure and may_jump:
            most = MOST_LOST if self.is_known else ahead
        if ahead > most or is_crowded:
            raise self._missing(name, seq)

    def check_run(self, name: str, seq: int, run: str | None) -> None:
        """Refuse a client that counts from 1 again, and one whose stream another took over.

        A run names one start of a client, such as a page load: `<any text>@<mark>`, with the mark
        that it began at. A page that was reloaded, or a second tab, begins at 0, is refused with
        the present mark, and begins again there.

        Raises:
            StreamTaken: another run sends this stream.
        """
        if run is None:
            if seq <= self.mark - MOST_BACK:
                raise StreamTaken(name, self.mark)
            return
        if run == self.run:
            return
        if self.run is not None and not (_base(run) == self.mark < seq):
            raise StreamTaken(name, self.mark)
        self.run, self.is_run_unsaved = run, True

    def _missing(self, name: str, seq: int) -> OutOfOrder:
        return OutOfOrder(f"Stream {name}: {seq} came, {self.mark + 1} is missing; send it again.")


def _is_over(session: Session | None) -> bool:
    return session is not None and (session.leaving or session.ended)


def _base(run: str) -> int:
    """The mark that a run began at; 0 if it does not say."""
    _, _, mark = run.rpartition("@")
    return int(mark) if mark.isascii() and mark.isdigit() and len(mark) < 16 else 0
