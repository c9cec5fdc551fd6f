"""Watch both colours for a while: let traffic grow, hold it, or say that it must go back."""

from __future__ import annotations

from dataclasses import dataclass, field

from mina_ops.errors import OperatorError
from mina_ops.operator.release.control import Request
from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.verdicts.figures import WINDOWS_SECONDS, look, with_baseline
from mina_ops.operator.release.verdicts.judging import judge
from mina_ops.operator.release.verdicts.model import Figures, Judgement, Response, Streak, Verdict
from mina_ops.operator.release.world import World


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

    world: World
    phase: Phase
    baseline: Figures | None = None
    streaks: dict[str, Streak] = field(default_factory=dict)
    paused: bool = False
    _promoted: bool = False
    _waiting_since: float = 0.0
    _told: set[str] = field(default_factory=set)

    def run(self, seconds: float) -> None:
        """Return when the new colour may have more: watched long enough and every trigger passed.

        What is missing is waited for; then the plan's `no_data` decides. A fault that both
        colours show holds the release where it is and pages somebody, for as long as it lasts.

        Raises:
            Bad: a trigger failed, or somebody aborted.
        """
        world, plan = self.world, self.world.plan
        began = world.clock()
        world.sleep(WINDOWS_SECONDS[0])
        while True:
            elapsed = world.clock() - began
            judgement = self.look(elapsed)
            if self._promoted:
                return
            if not self.paused and elapsed >= seconds:
                if judgement.conclusive:
                    return
                late = elapsed >= max(seconds, self._waiting_since) + plan.patience_seconds
                if late and judgement.response is Response.NONE and self._without_data(judgement):
                    return
            world.sleep(plan.look_seconds)

    def look(self, elapsed: float) -> Judgement:
        """Take requests, look once at both colours, page if both are sick. Raises as `run`."""
        self._take_request(elapsed)
        world = self.world
        new, old = look(world.new_app, world.old_app, elapsed, world.wanted)
        old = with_baseline(old, self.baseline)
        judgement = judge(new, old, world.plan.triggers, self.streaks, self.baseline)
        self.streaks = dict(judgement.streaks)
        world.observer.look(new, old, judgement, elapsed)
        if judgement.response in (Response.INSTANT, Response.GRADUAL):
            raise Bad(judgement.response, judgement.reasons)
        if judgement.response is Response.HOLD:
            self._page("hold", "; ".join(judgement.reasons))
        return judgement

    def _take_request(self, elapsed: float) -> None:
        request = self.world.control.take()
        if request is None:
            return
        if request.kind == "abort":
            raise Bad(Response.INSTANT, [aborted(request)])
        self.world.journal.write("request", self.phase, kind=request.kind, who=request.who)
        self.world.observer.phase(self.phase, f"{request.kind} by {request.who}")
        if request.kind in ("pause", "resume"):
            self.paused = request.kind == "pause"
            # Who resumes is willing to wait for figures once more, and to be told again.
            self._waiting_since = elapsed
            self._told.clear()
        self._promoted = self._promoted or request.kind == "promote"

    def _without_data(self, judgement: Judgement) -> bool:
        """Whether to go on although some figures never came.

        Only where there is nothing to count: figures that cannot be read are never passed over.
        Somebody is paged, and the release goes on by itself once they can be read again.
        """
        missing = "; ".join(
            f"{f.trigger}: {f.reason}" for f in judgement.findings if f.verdict is not Verdict.PASS
        )
        policy = self.world.plan.no_data
        if policy == "rollback":
            raise Bad(Response.INSTANT, [f"nothing to judge by: {missing}"])
        if any(f.verdict is Verdict.ERROR for f in judgement.findings):
            self._page("blind", f"{missing}. Waiting until figures can be read.")
            return False
        if policy == "continue":
            self.world.note(self.phase, without_data=missing)
            return True
        self._page("paused", f"nothing to judge by: {missing}. Promote, resume or abort.")
        self.paused = True
        return False

    def _page(self, event: str, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.world.note(self.phase, notice=event, reason=text)
            self.world.observer.phase(self.phase, f"{event}: {text}")
            self.world.tell(
                "alert", f"{event}: {self.world.version} on {self.world.new.name}: {text}"
            )


def stop_if_aborted(world: World) -> None:
    """Take an abort if there is one; other requests stay for those who heed them.

    Raises:
        Bad: somebody aborted.
    """
    request = world.control.take("abort")
    if request is not None:
        raise Bad(Response.INSTANT, [aborted(request)])


def aborted(request: Request) -> str:
    """The reason of an abort, as a person reads it."""
    return f"aborted by {request.who}" + (f": {request.why}" if request.why else "")
