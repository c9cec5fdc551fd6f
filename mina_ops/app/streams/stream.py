"""One stream as a process knows it, and the rules by which its chunks take their turns."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, RLock
from typing import Protocol

from mina_ops.app.streams.errors import OutOfOrder, SessionLeaves, StreamTaken

# How long a chunk waits for the one before it, which may be with another thread by now.
GAP_SECONDS = 1.0
# Where the mark may be behind, longer: going on past a chunk that was only slow would lose it.
UNSURE_GAP_SECONDS = 5.0
# A chunk so far beyond the next one is refused at once, and so is one when so many wait: each
# holds a thread. Clients of ours have 8 under way.
MOST_AHEAD = 64
MOST_WAITING = 32
# A client repeats what was not acknowledged, at most so many; one that goes back further is
# another client, which counts from 1 again.
MOST_BACK = 64
# Where the shared mark may be behind the real one, by no more than this.
MOST_LOST = 1000
# A chunk that waits is woken when its turn may have come. This only bounds what a bug would cost:
# thousands of chunks that looked four times a second once kept a full worker from ever getting on.
LOOK_SECONDS = 5.0


class Session(Protocol):
    """What streams ask of a session."""

    sid: str
    leaving: bool
    ended: bool
    receiving: int
    runs: dict[str, str]
    waiting: set[Condition]
    """What to notify when it leaves or ends."""


@dataclass
class Stream:
    """What this process knows of one stream."""

    lock: RLock = field(default_factory=RLock)
    """Held by whoever reads or changes what follows; chunks that wait let it go meanwhile."""
    turns: dict[Condition, int] = field(default_factory=dict)
    """What wakes each chunk that waits, over `lock`, and its number."""
    mark: int = 0
    owner: str | None = None
    """Session that the mark was last heard from: no other colour got its chunks meanwhile."""
    sure: bool = False
    """Whether `mark` cannot be behind: it is of a chunk that `owner` sent here."""
    failed: bool = False
    """Whether the last body raised: its effect may have been kept all the same."""
    running: bool = False
    arrived: list[int] = field(default_factory=list)
    """Numbers that wait for their turn, those whose mark is still being read among them."""
    used_at: float = 0.0
    run: str | None = None
    """Which life of a client sends it, where clients say so."""
    is_run_unsaved: bool = False
    is_known: bool = False
    """Whether any mark of it was ever found, here or in the store."""

    def wait_for_turn(
        self, name: str, seq: int, session: Session | None, *, may_jump: bool
    ) -> None:
        """Return when the chunk is next, or a duplicate; `lock` is held, and let go in waits."""
        if self._is_early(seq):
            with self._turn(seq, session) as turn:
                self._wait(turn, name, seq, session, may_jump=may_jump)
        if seq > self.mark and _is_over(session):
            # Its client sends it elsewhere by now. A busy process may look at it that late.
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
                # The shared marks were lost, or are behind: the sender keeps what is not
                # acknowledged, so this is next.
                self.mark = seq - 1

    def _is_early(self, seq: int) -> bool:
        return seq > self.mark + 1 or (self.running and seq == self.mark + 1)

    @contextmanager
    def _turn(self, seq: int, session: Session | None) -> Iterator[Condition]:
        """What is notified when a chunk's turn may have come, or its session leaves."""
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
        """Wake the chunks whose turn may have come; `lock` is held.

        Those are the next one, duplicates of what is done, and the first that waits: it begins to
        count the time for which it waits for the one before it. Example: 5 is done, and 7, 8 and 9
        wait: 7 is woken, 8 and 9 are not.
        """
        last = self.mark
        if not self.running:
            last = max(self.mark + 1, min(self.arrived, default=0))
        for turn, seq in self.turns.items():
            if seq <= last:
                turn.notify()

    def _refuse_what_is_far(self, name: str, seq: int, *, may_jump: bool) -> None:
        """Refuse at once what could only hold a thread in vain, or silence the self."""
        ahead = seq - self.mark - 1
        is_crowded = len(self.arrived) > MOST_WAITING and seq > min(self.arrived)
        most = MOST_AHEAD
        if not self.sure and may_jump:
            most = MOST_LOST if self.is_known else ahead
        if ahead > most or is_crowded:
            raise self._missing(name, seq)

    def check_run(self, name: str, seq: int, run: str | None) -> None:
        """Refuse a client that counts from 1 again, and one whose stream another took over.

        A run is `<any text>@<mark>`: the mark that this life of the client began at. A page that
        was reloaded, or a second tab, begins at 0, is told the mark, and begins again there.
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
