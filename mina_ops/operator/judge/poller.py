"""Looks at both colours again and again, and keeps the last judgement for whoever asks.

A thread of its own looks every few seconds, since a state (an unhealthy database, say) must stay
bad for some looks before it counts. Who asks is answered from a look that began after the
question, so that a version that was replaced a moment ago is not judged by its predecessor's
figures. Nothing is kept on disk: after a restart the app still has the figures, and a state
counts again after some looks; until then nothing passes because of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from mina_ops.errors import MinaOpsError, OperatorError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.judge.opinion import Opinion, Party, inconclusive, of, without_a_past
from mina_ops.operator.release.verdicts.figures import Wanted, baseline, look, with_baseline
from mina_ops.operator.release.verdicts.judging import judge
from mina_ops.operator.release.verdicts.model import Figures, Streak, Triggers

# How long the old colour's last quarter of an hour is good to compare with.
_BASELINE_SECONDS = 60.0
# A version that was silent for this long has not just failed: it was taken away.
_GONE_SECONDS = 600.0


@dataclass(frozen=True)
class Rules:
    """What is judged: over the last `seconds`, once every `pause` seconds at least."""

    triggers: Triggers
    wanted: Wanted = field(default_factory=Wanted)
    seconds: float = 60.0
    pause: float = 5.0


class Poller:
    """Looks until `close`. Safe to ask from many threads: they share one look."""

    def __init__(self, new: AppClient, old: AppClient, rules: Rules) -> None:
        self.new = new
        self.old = old
        self._rules = rules
        self._judged: Party | None = None
        self._known: set[Party] = set()
        self._heard_at = 0.0
        self._waits_for_first_share = False
        self._looks = 0
        self._streaks: Mapping[str, Streak] = {}
        self._usual: Mapping[str, float | str | None] = {}
        self._baseline: tuple[float, Figures] = (-_BASELINE_SECONDS, Figures())
        self._last = inconclusive("the first look has not ended yet")
        self._changed = threading.Condition()
        self._asked = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="mina_ops-judge", daemon=True)
        self._thread.start()

    def ask(self, seconds: float) -> Opinion:
        """The opinion of a look that began after this call; blocks up to `seconds`.

        A look that takes longer says nothing in time, so the answer is inconclusive.
        """
        asked_at = time.monotonic()
        with self._changed:
            self._asked = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._last.began >= asked_at or self._ended, seconds)
            if self._last.began >= asked_at:
                return self._last
        return inconclusive(f"no look at both colours ended within {seconds:g} s")

    def take_first_share(self) -> bool:
        """Whether this is the first time that the present version is to get a share; once each.

        Only of a version that was seen coming. Whoever was started in the middle of a release
        cannot know which share is asked for.
        """
        with self._changed:
            first, self._waits_for_first_share = self._waits_for_first_share, False
        return first

    @property
    def alive(self) -> bool:
        """Whether it still looks."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Look no more; blocks until the present look has ended, for 10 s at the most."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._ended:
            with self._changed:
                # Together: a question that comes after this moment is answered by the next look.
                self._asked, began = False, time.monotonic()
            opinion = replace(self._safely(), began=began, seconds=self._rules.seconds)
            with self._changed:
                self._last = opinion
                self._looks += 1
                self._changed.notify_all()
                if not self._ended:
                    self._changed.wait_for(lambda: self._asked or self._ended, self._rules.pause)

    def _safely(self) -> Opinion:
        """One look; whatever goes wrong in it says nothing about the new colour."""
        try:
            return self._look()
        except MinaOpsError as error:
            return inconclusive(str(error))
        except Exception as error:  # the thread must go on looking
            return inconclusive(f"the look failed: {type(error).__name__}")

    def _look(self) -> Opinion:
        new, old = self._who()
        if old is None:
            return replace(inconclusive(f"{self.old.name} does not answer"), new=new)
        if new is not None:
            self._heard_at = time.monotonic()
        elif time.monotonic() - self._heard_at > _GONE_SECONDS:
            self._judge_now(None)
        if new is None and self._judged is None:
            return replace(self._idle(f"{self.new.name} does not answer yet"), old=old)
        if new is not None and new.environment == old.environment:
            self._judge_now(None)
            why = f"no release: {self.new.name} and {self.old.name} both answer as "
            return replace(self._idle(f"{why}{new.environment}"), new=new, old=old)
        if new is not None and new != self._judged:
            self._judge_now(new)
        opinion = self._unanswered() if new is None else self._judge()
        return replace(opinion, new=self._judged, old=old)

    def _judge_now(self, party: Party | None) -> None:
        """Begin with another version: what was seen of the one before says nothing about it.

        While pods of two versions answer in turn, each is seen coming once.
        """
        with self._changed:
            self._judged, self._streaks = party, {}
            news = party is not None and party not in self._known
            self._waits_for_first_share = news and self._looks > 0
            self._known = set() if party is None else {*self._known, party}

    def _unanswered(self) -> Opinion:
        """Of a version that answered before, and does not; it is not waited for once more."""
        silent = Figures(fault=f"{self.new.name} does not answer in time")
        judgement = judge(silent, Figures(), self._rules.triggers, self._streaks)
        self._streaks = judgement.streaks
        return of(judgement)

    def _judge(self) -> Opinion:
        rules = self._rules
        now, old = look(self.new, self.old, rules.seconds, rules.wanted)
        before = replace(self._before(), numbers=self._usual)
        old = with_baseline(old, before)
        judgement = judge(now, old, rules.triggers, self._streaks, before)
        self._streaks = judgement.streaks
        return of(without_a_past(judgement, rules.triggers, before))

    def _who(self) -> tuple[Party | None, Party | None]:
        """Who answers at each address; None: nobody."""
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(_party, (self.new, self.old)))
        return found[0], found[1]

    def _idle(self, why: str) -> Opinion:
        """Nothing is released; the numbers of this time are what a change is measured by."""
        if any(one.change_percent is not None for one in self._rules.triggers.numbers):
            self._usual = dict(self._rules.wanted.numbers(self.old))
        return inconclusive(why)

    def _before(self) -> Figures:
        """The old colour's last quarter of an hour, or hour where that is quiet."""
        at, found = self._baseline
        if time.monotonic() - at >= _BASELINE_SECONDS:
            at, found = time.monotonic(), baseline(self.old)
            self._baseline = at, found
        return found


def _party(app: AppClient) -> Party | None:
    try:
        health = app.health()
    except OperatorError:
        return None
    return Party(health.environment, health.version)
