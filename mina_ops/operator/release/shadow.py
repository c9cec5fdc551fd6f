"""The phase `shadow`: judges the new colour by copies of requests, before it gets visitors.

The load balancer mirrors GETs to it. What it answers reaches nobody, and both colours are looked at
as at a share of traffic. A mirror is applied for a minute and renewed while it is watched, so that
the load balancer ends it by itself where a controller was killed, or is stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from mina_ops import files
from mina_ops.errors import Locked, MinaOpsError, TrafficError
from mina_ops.operator.release import steps
from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.release import Release
from mina_ops.operator.release.steps import Step
from mina_ops.operator.release.verdicts.figures import of_reads
from mina_ops.operator.release.verdicts.judging import NEEDS_SOCKETS
from mina_ops.operator.release.verdicts.model import Figures, Judgement, Verdict
from mina_ops.operator.release.watching import Watch
from mina_ops.operator.traffic import gate
from mina_ops.operator.traffic.mirror import Mirror
from mina_ops.operator.traffic.model import Split

_LEASE_SECONDS = 60
_RENEW_SECONDS = 15.0


def steps_of(release: Release) -> Sequence[Step]:
    """Mirror, watch, and end the mirror; nothing where the plan has no such phase."""
    seconds = release.plan.shadow_seconds
    if not seconds:
        return []
    alone = Split.all_to(release.old.name, release.settings.colours)
    lines = [
        *release.driver.plan(alone.mirrored(_mirror(release))),
        *steps.watching(release, seconds, "mirrored, watch both colours for"),
        *steps.load(release),
        *release.driver.plan(alone),
    ]
    ready = partial(gate.require_ready, release.new)
    return [Step(steps.readiness(release.new), ready), Step(lines, partial(_run, release, seconds))]


def end(release: Release) -> None:
    """End the mirror; if the load balancer does not answer, the mirror ends by itself."""
    try:
        split = release.driver.read().split
        if split.mirror is not None:
            release.apply(split.mirrored(None))
    except Locked:
        # Another controller has taken the release over, and its mirror.
        return
    except MinaOpsError as error:
        text = f"{error} The mirror ends by itself within {_LEASE_SECONDS} s."
        release.observer.phase(Phase.SHADOW, text)
        with suppress(files.NotWritten):
            release.note(Phase.SHADOW, could_not="end the mirror", error=text)


def _run(release: Release, seconds: float) -> None:
    watch = _MirrorWatch.of(release, Phase.SHADOW)
    try:
        watch.begin()
        watch.run(seconds)
    finally:
        end(release)


def _mirror(release: Release) -> Mirror:
    return Mirror(release.new.name, release.plan.shadow_percent, _LEASE_SECONDS)


@dataclass
class _MirrorWatch(Watch):
    """A stretch of watching during which requests are mirrored, but not while it is paused."""

    _is_on: bool = False
    _renewed: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.baseline = None if self.baseline is None else of_reads(self.baseline)

    def begin(self) -> None:
        """Start the mirror.

        Raises:
            TrafficError: the load balancer does not make copies.
        """
        applied = self._renew()
        if applied.mirror is None:
            raise TrafficError(
                "The load balancer takes the mirror and copies nothing. Is mina-ops on its host as "
                "new as here? Run `mina-ops traffic install` there."
            )
        percent = f"{applied.mirror.percent} % of GETs"
        self.release.note(Phase.SHADOW, mirrored=f"{percent}, what is answered reaches nobody")

    def look(self, elapsed: float) -> Judgement:
        """As at a share; and the mirror is kept up, or ended while somebody paused the release."""
        waited = self._waiting_since
        judgement = super().look(elapsed)
        is_resumed = self._waiting_since != waited
        if self.paused:
            if self._is_on:
                self._is_on = False
                end(self.release)
        elif is_resumed or (self._moved is None and self._is_due()):
            # One that does not answer is asked again at the next look.
            with suppress(TrafficError):
                self._renew()
        return judgement

    def _is_due(self) -> bool:
        return self.release.clock() - self._renewed >= _RENEW_SECONDS

    def _renew(self) -> Split:
        release = self.release
        split = release.driver.read().split
        applied = release.apply(split.mirrored(_mirror(release)), is_news=not self._is_on)
        self._is_on, self._renewed = True, release.clock()
        return applied.after.split

    def _is_as_told(self, split: Split) -> bool:
        """Whether the new colour has no visitors, and copies until its mirror's time is over."""
        is_running = self.release.clock() - self._renewed < _LEASE_SECONDS
        is_ended = self._is_on and is_running and split.mirror is None
        return super()._is_as_told(split) and not is_ended

    def _figures(self, elapsed: float) -> tuple[Figures, Figures]:
        """Durations of GETs are compared with those of GETs: a site may have many fast POSTs."""
        new, old = super()._figures(elapsed)
        return of_reads(new), of_reads(old)

    def _judged(self, new: Figures, old: Figures) -> Judgement:
        """The judgement of copies: sockets are never mirrored, nor what the host counts beside."""
        found = super()._judged(new, old)
        unfed = {*NEEDS_SOCKETS, *(one.name for one in self.release.plan.triggers.outcomes)}
        fed = [
            f for f in found.findings if f.verdict is not Verdict.NO_DATA or f.trigger not in unfed
        ]
        return replace(found, findings=fed)

    def _renew_baseline(self) -> None:
        """The next share is compared with all requests, so what was seen of GETs is no baseline."""

    def _compare_share(self, new: Figures, old: Figures) -> None:
        """It has no share to compare: how many GETs there are among the requests, nobody knows."""
