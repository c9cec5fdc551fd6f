"""`Release`: one release, with all that it acts on (colours, load balancer, journal, people)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from mina_ops.errors import OperatorError
from mina_ops.operator.api import draining
from mina_ops.operator.api.answers import DrainStatus
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.config.colours import Colour
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.release.control import Control
from mina_ops.operator.release.journal import Journal
from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.plan import Plan, words
from mina_ops.operator.release.verdicts.figures import Wanted
from mina_ops.operator.release.verdicts.model import Figures, Judgement
from mina_ops.operator.release.verdicts.numbers import NumberReader
from mina_ops.operator.system import programs
from mina_ops.operator.traffic import pins
from mina_ops.operator.traffic.base import Applied, TrafficDriver
from mina_ops.operator.traffic.model import Split

Tell = Callable[[str, str], None]

_SLICE_SECONDS = 1.0


class Observer:
    """Is told what happens; every method is a documented no-op. The live view overrides some."""

    def phase(self, phase: Phase, text: str) -> None:
        """A phase begins or says something about itself."""

    def output(self, phase: Phase, line: str) -> None:
        """A hook's command wrote a line; called from another thread."""

    def split(self, split: Split) -> None:
        """The load balancer follows a new split."""

    def look(self, new: Figures, old: Figures, judgement: Judgement, seconds: float) -> None:
        """Both colours were looked at, `seconds` after the last change of shares."""

    def drain(self, colour: str, remaining: int | None) -> None:
        """So many sessions are still on a colour."""

    def stays(self, seconds_left: float | None, *, paused: bool) -> None:
        """It stays at its share for at least `seconds_left`; `paused`: until a person decides."""


@dataclass(frozen=True)
class Target:
    """Which version goes from which colour to which."""

    version: str
    new: Colour
    old: Colour


@dataclass(frozen=True)
class Site:
    """Where it happens: the file's settings, and the load balancer."""

    settings: OperatorSettings
    driver: TrafficDriver


@dataclass(frozen=True)
class Record:
    """What is written down of a release, and what others ask of it."""

    journal: Journal
    control: Control


def _nobody(event: str, text: str) -> None:
    """Tells nobody."""


def _nothing() -> None:
    """Nothing can be lost."""


@dataclass
class Surroundings:
    """Who watches, who is told, and what time it is.

    `tell(event, text)` notifies people; it returns at once and never raises. `still_ours()` raises
    Locked once another controller has taken the release over.
    """

    tell: Tell = _nobody
    observer: Observer = field(default_factory=Observer)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    still_ours: Callable[[], None] = _nothing


@dataclass
class Release:
    """One release from `old` to `new`, and everything that it touches."""

    target: Target
    site: Site
    plan: Plan
    record: Record
    surroundings: Surroundings = field(default_factory=Surroundings)

    @property
    def version(self) -> str:
        """What is released."""
        return self.target.version

    @property
    def new(self) -> Colour:
        """The colour that is being released."""
        return self.target.new

    @property
    def old(self) -> Colour:
        """The colour that serves so far."""
        return self.target.old

    @property
    def driver(self) -> TrafficDriver:
        """The load balancer."""
        return self.site.driver

    @property
    def settings(self) -> OperatorSettings:
        """The file's settings."""
        return self.site.settings

    @property
    def journal(self) -> Journal:
        """What was begun and done."""
        return self.record.journal

    @property
    def control(self) -> Control:
        """What others ask of it."""
        return self.record.control

    @property
    def observer(self) -> Observer:
        """Who watches."""
        return self.surroundings.observer

    def tell(self, event: str, text: str) -> None:
        """Notify people; returns at once."""
        self.surroundings.tell(event, text)

    def clock(self) -> float:
        """Seconds of a clock that nobody sets."""
        return self.surroundings.clock()

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`, or until somebody wants an abort."""
        end = self.clock() + seconds
        while (left := end - self.clock()) > 0 and not self.control.has_abort():
            self.surroundings.sleep(min(left, _SLICE_SECONDS))

    @cached_property
    def new_app(self) -> AppClient:
        """A client for the colour that is being released."""
        return AppClient(self.new.name, self.new.url, token=self.settings.token())

    @cached_property
    def old_app(self) -> AppClient:
        """A client for the colour that serves so far."""
        return AppClient(self.old.name, self.old.url, token=self.settings.token())

    @cached_property
    def public_app(self) -> AppClient:
        """A client for whatever answers at the public address."""
        return AppClient("the public address", self.settings.public_url)

    @cached_property
    def wanted(self) -> Wanted:
        """What is read of both colours at each look."""
        return Wanted.by(self.plan.triggers, NumberReader(self.plan.triggers.numbers, self.words()))

    def close(self) -> None:
        """Close the connections that were opened."""
        for name in ("new_app", "old_app", "public_app"):
            if name in vars(self):
                getattr(self, name).close()

    def words(self) -> Mapping[str, str]:
        """What a hook's command may name in braces."""
        return words(self.version, self.new, self.old, self.plan.instances)

    def commands(self, hook: str) -> list[list[str]]:
        """The argument vectors of a hook."""
        return self.plan.commands(hook, self.words())

    def run_command(self, hook: str, phase: Phase, argv: list[str]) -> None:
        """Run one of a hook's commands; an abort ends it.

        Raises:
            OperatorError: it failed or took too long; the message holds its last line.
            ToolMissing: its program is not installed.
        """
        environment = {f"MINA_RELEASE_{k.upper()}": v for k, v in self.words().items()}
        environment["MINA_RELEASE_ID"] = self.journal.release_id
        named = "" if hook == phase else f"{hook} "
        self.observer.phase(phase, f"{named}$ {programs.quoted(argv)}")
        began = self.clock()
        result = programs.follow(
            argv,
            partial(self.observer.output, phase),
            timeout_seconds=self.plan.hook_seconds,
            environment=environment,
            stop=self.control.has_abort,
        )
        seconds = round(self.clock() - began, 1)
        self.note(phase, command=programs.quoted(argv), code=result.code, seconds=seconds)
        if not result.ok:
            raise OperatorError(
                f"{hook}: `{programs.quoted(argv)}` ended with {result.code}: {result.last_line()}"
            )

    def following(self, app: AppClient) -> Iterator[DrainStatus]:
        """A colour's drain to its end; see `draining.follow`."""
        return draining.follow(
            app,
            self.plan.drain_grace_seconds,
            at_balancer=self.driver.long_requests,
            clock=self.clock,
            sleep=self.sleep,
        )

    def give(self, percent: int, *, cohort: bool = False) -> Applied:
        """Give the new colour a share, and its cohort if asked; see `TrafficDriver.apply`.

        Users who were sent to a colour by name before stay there.
        """
        before = self.driver.read().split
        split = before.giving(self.new.name, percent)
        if cohort:
            split = split.with_cohort(self.plan.cohort, self.new.name if percent < 100 else None)
        return self.apply(pins.pinned(self.settings, before, split))

    def forget_pages(self) -> None:
        """Send open pages of the release that the new colour ran before to the old colour."""
        split = self.driver.read().split
        if self.new.name in split.releases:
            self.apply(pins.forgetting(split, self.new.name))

    def planned(self, percent: int) -> Split:
        """The split that a share is, when only this release moves traffic."""
        split = Split.all_to(self.old.name, self.settings.colours).giving(self.new.name, percent)
        if self.plan.strategy == "cohort" and percent < 100:
            split = split.with_cohort(self.plan.cohort, self.new.name)
        return split

    def leave(self, percent: int) -> Applied:
        """Leave the new colour at most this share; it never gets more than it has.

        Its open pages are not kept there any longer.
        """
        split = pins.forgetting(self.driver.read().split, self.new.name)
        return self.apply(split.giving(self.new.name, min(percent, split.percent[self.new.name])))

    def take_back(self) -> Applied:
        """Send everybody to the old colour, those by name and pages of the new one too.

        One of several load balancers that does not answer stops nobody else's way back.
        """
        split = Split.all_to(self.old.name, self.settings.colours)
        return self._told(self.driver.apply_to_reachable, split)

    def apply(self, split: Split, *, is_news: bool = True) -> Applied:
        """Let the load balancer follow a split; `is_news`: whoever watches is told.

        Raises:
            Locked: another controller has taken the release over.
        """
        return self._told(self.driver.apply, split, is_news=is_news)

    def _told(
        self, how: Callable[[Split], Applied], split: Split, *, is_news: bool = True
    ) -> Applied:
        # A controller that was stopped and continued must not undo what others did meanwhile.
        self.surroundings.still_ours()
        applied = how(split)
        if is_news:
            self.observer.split(applied.after.split)
        return applied

    def note(self, phase: Phase, **detail: Any) -> None:
        """Write a note into the journal."""
        self.journal.write("note", phase, **detail)
