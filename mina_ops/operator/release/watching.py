"""Watch both colours for a while: let traffic grow, hold it, or say that it must go back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

from mina_ops.errors import OperatorError
from mina_ops.operator.release.control import Request
from mina_ops.operator.release.load import sending
from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.paging import Pages
from mina_ops.operator.release.release import Release
from mina_ops.operator.release.verdicts.figures import (
    WINDOWS_SECONDS,
    from_json,
    look,
    to_json,
    with_baseline,
)
from mina_ops.operator.release.verdicts.judging import judge
from mina_ops.operator.release.verdicts.latency import TO_COMPARE
from mina_ops.operator.release.verdicts.model import (
    Figures,
    Finding,
    Judgement,
    Response,
    Streak,
    Verdict,
)
from mina_ops.operator.release.verdicts.statistics import samples
from mina_ops.operator.traffic.model import Split
from mina_ops.operator.traffic.share import measured_share

# Every look reads the split, but no more often than this: a platform's command is a process.
_SPLIT_EVERY_SECONDS = 1.0
# A split that could not be read twice in a row, and for five seconds, holds the release: one of
# several load balancers cannot be reached, say, or does something else than the others.
_UNREAD_SECONDS = 5.0
# A wrong share is told only after 60 looks in a row, each over a window of 120 seconds.
_SHARE_SECONDS, _SHARE_LOOKS = 120, 60


class Bad(OperatorError):
    """The new colour was judged bad, or somebody aborted; `response` says how to go back."""

    code = "judged_bad"

    def __init__(self, response: Response, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.response = response
        self.reasons = reasons


@dataclass
class Watch:
    """One stretch of watching at one share."""

    release: Release
    phase: Phase
    baseline: Figures | None = None
    streaks: dict[str, Streak] = field(default_factory=dict)
    paused: bool = False
    _promoted: bool = False
    _waiting_since: float = 0.0
    _moved: Finding | None = None
    _seen: Figures = field(default_factory=Figures)
    _asked_at: float = -_SPLIT_EVERY_SECONDS
    _unread: int = 0
    _astray: int = 0

    def __post_init__(self) -> None:
        self._pages = Pages(self.release, self.phase)
        self._share = self.release.journal.progress().percent
        self._read_at = self.release.clock()

    @classmethod
    def of(cls, release: Release, phase: Phase) -> Self:
        """A stretch that knows what the old colour was like before the release."""
        raw = release.journal.progress().detail.get("baseline")
        return cls(release, phase, from_json(raw) if raw else None)

    def run(self, seconds: float) -> None:
        """Return when the new colour may have more: watched long enough and every trigger passed.

        What is missing is waited for; then the plan's `no_data` decides. A fault that both
        colours show, or a split that somebody else made, holds the release where it is and pages
        somebody, for as long as it lasts.

        Raises:
            Bad: a trigger failed, or somebody aborted.
            Locked: another controller has taken the release over.
        """
        colours = (self.release.new, self.release.old)
        with sending(self.release.plan.load, colours, handshakes=self._has_sockets()):
            self._run(seconds)

    def _run(self, seconds: float) -> None:
        release, plan = self.release, self.release.plan
        began = release.clock()
        release.sleep(WINDOWS_SECONDS[0])
        while True:
            elapsed = release.clock() - began
            judgement = self.look(elapsed)
            if self._promoted:
                return
            release.observer.stays(max(0.0, seconds - elapsed), paused=self.paused)
            if not self.paused and elapsed >= seconds:
                if judgement.conclusive:
                    reasons = [f"{f.trigger}: {f.reason}" for f in judgement.findings]
                    release.note(self.phase, passed=round(elapsed, 1), verdicts=reasons)
                    self._renew_baseline()
                    return
                late = elapsed >= max(seconds, self._waiting_since) + plan.patience_seconds
                if late and judgement.response is Response.NONE and self._without_data(judgement):
                    return
            release.sleep(plan.look_seconds)

    def _has_sockets(self) -> bool:
        """Whether anybody shook hands before the release; nobody's clients are made up."""
        before = self.baseline or Figures()
        return before.handshakes.accepted > 0

    def look(self, elapsed: float) -> Judgement:
        """Take requests, look once at both colours, page if both are sick. Raises as `run`."""
        self._take_request(elapsed)
        release = self.release
        release.surroundings.still_ours()
        new, old = self._figures(elapsed)
        self._seen = old
        old = with_baseline(old, self.baseline)
        judgement = self._with_split(self._judged(new, old))
        self._compare_share(new, old)
        release.observer.look(new, old, judgement, elapsed)
        if judgement.response in (Response.INSTANT, Response.GRADUAL):
            raise Bad(judgement.response, judgement.reasons)
        held = judgement.asking if judgement.response is Response.HOLD else []
        self._pages.hold({finding.trigger: finding.reason for finding in held})
        return judgement

    def _figures(self, elapsed: float) -> tuple[Figures, Figures]:
        """Both colours', the new one's first."""
        release = self.release
        return look(release.new_app, release.old_app, elapsed, release.wanted)

    def _judged(self, new: Figures, old: Figures) -> Judgement:
        rules = self.release.plan.triggers
        judgement = judge(new, old, rules, self.streaks, self.baseline)
        self.streaks = dict(judgement.streaks)
        return judgement

    def _renew_baseline(self) -> None:
        """Let the old colour's present durations be those that the next share is compared with.

        Once it has too little traffic, its last well known figures count; those from before a
        release of three hours would take the evening's rush for a fault of the new colour.
        """
        if self.baseline is None or samples(self._seen.histogram) < TO_COMPARE:
            return
        seen = self._seen
        self.baseline = replace(
            self.baseline, histogram=seen.histogram, seconds=seen.seconds, read_at=seen.read_at
        )
        self.release.note(self.phase, baseline=to_json(self.baseline))

    def _with_split(self, judgement: Judgement) -> Judgement:
        """The judgement, and a hold if the load balancer does something else than it was told."""
        now = self.release.clock()
        if now - self._asked_at >= _SPLIT_EVERY_SECONDS:
            self._asked_at = now
            self._moved = self._split_finding()
        extra = () if self._moved is None else (self._moved,)
        return Judgement((*judgement.findings, *extra))

    def _split_finding(self) -> Finding | None:
        """What is wrong with the split; one that does not answer may just be reloading."""
        try:
            split = self.release.driver.read().split
        except OperatorError as error:
            self._unread += 1
            silent = self.release.clock() - self._read_at
            if self._unread < 2 or silent < _UNREAD_SECONDS:
                return self._moved
            reason = f"the load balancer does not say what it does: {error}"
            return Finding("traffic", Verdict.ERROR, Response.HOLD, reason)
        self._unread, self._read_at = 0, self.release.clock()
        if self._is_as_told(split):
            return None
        reason = f"somebody else moved traffic: {split.describe()}"
        return Finding("traffic", Verdict.FAIL, Response.HOLD, reason)

    def _is_as_told(self, split: Split) -> bool:
        return split.percent[self.release.new.name] == self._expected()

    def _compare_share(self, new: Figures, old: Figures) -> None:
        """Page where the new colour does not get the share that it was given, for a while.

        Such a comparison is worth little, however good its figures are. A load of the release's
        own goes past the load balancer, so then nothing can be said.
        """
        if self.release.plan.load.per_second:
            return
        name = self.release.new.name
        requests = {name: new.requests, self.release.old.name: old.requests}
        share = measured_share(requests, name, self._expected())
        differs = share.differs and new.seconds >= _SHARE_SECONDS and not old.fault
        self._astray = self._astray + 1 if differs else 0
        if self._astray >= _SHARE_LOOKS:
            self._pages.once("share", share.describe(name))

    def _expected(self) -> int:
        if self.phase is Phase.ROLLING_BACK:
            return min(self._share, 100 - self.release.plan.gradual_percent)
        return self._share

    def _take_request(self, elapsed: float) -> None:
        request = self.release.control.take()
        if request is None:
            return
        if request.kind == "abort":
            raise Bad(Response.INSTANT, [aborted(request)])
        self.release.journal.write("request", self.phase, kind=request.kind, who=request.who)
        self.release.observer.phase(self.phase, f"{request.kind} by {request.who}")
        if request.kind in ("pause", "resume"):
            self.paused = request.kind == "pause"
            # Who resumes is willing to wait for figures once more, and to be told again.
            self._waiting_since = elapsed
            self._pages.forget()
        self._promoted = self._promoted or request.kind == "promote"

    def _without_data(self, judgement: Judgement) -> bool:
        """Whether to go on although some figures never came.

        Only where there is nothing to count: figures that cannot be read are never passed over.
        Somebody is paged, and the release goes on by itself once they can be read again.
        """
        missing = "; ".join(
            f"{f.trigger}: {f.reason}" for f in judgement.findings if f.verdict is not Verdict.PASS
        )
        policy = self.release.plan.no_data
        if policy == "rollback":
            raise Bad(Response.INSTANT, [f"nothing to judge by: {missing}"])
        if any(f.verdict is Verdict.ERROR for f in judgement.findings):
            self._pages.once("blind", f"{missing}. Waiting until figures can be read.")
            return False
        if policy == "continue":
            self.release.note(self.phase, without_data=missing)
            return True
        self._pages.once("paused", f"nothing to judge by: {missing}. Promote, resume or abort.")
        self.paused = True
        return False


def stop_if_aborted(release: Release) -> None:
    """Take an abort if there is one; other requests stay for those who heed them.

    Raises:
        Bad: somebody aborted.
    """
    request = release.control.take("abort")
    if request is not None:
        raise Bad(Response.INSTANT, [aborted(request)])


def aborted(request: Request) -> str:
    """The reason of an abort, as a person reads it."""
    return f"aborted by {request.who}" + (f": {request.why}" if request.why else "")
