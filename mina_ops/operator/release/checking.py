"""The phase `checks`: what must hold before a release changes anything."""

from __future__ import annotations

from mina_ops.errors import OperatorError
from mina_ops.operator.release import flags, outlook, steps
from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.release import Release
from mina_ops.operator.release.steps import Step
from mina_ops.operator.release.verdicts.figures import (
    ENDPOINTS,
    baseline,
    figures,
    missing_figures,
    to_json,
)
from mina_ops.operator.release.verdicts.judging import judge
from mina_ops.operator.release.verdicts.model import Figures, Response, Streak
from mina_ops.operator.system import programs
from mina_ops.operator.traffic import gate

# A state that counts only after several looks is to count at this single one.
_SEEN = Streak(100)
_LATELY_SECONDS = 60


def steps_of(release: Release) -> list[Step]:
    """The checks; the first that fails ends the release."""
    old, metrics = release.old, [f"/api/metrics/{name}" for name in ENDPOINTS]
    return [
        Step(["look for the program of every hook"], lambda: _programs(release)),
        Step(["look at the load balancer"], lambda: _balancer(release)),
        Step(steps.readiness(old), lambda: _old_is_ready(release)),
        Step(steps.asking(old, "/admin/drain", "/api/health", *metrics), lambda: _figures(release)),
        Step(
            [*steps.figures(release, old), *steps.asking(old, flags.EXPORT)],
            lambda: _remember(release),
        ),
    ]


def _programs(release: Release) -> None:
    for hook in release.plan.hooks:
        for argv in release.commands(hook):
            programs.find(argv[0], f"[release.hooks] {hook} needs it.")


def _balancer(release: Release) -> None:
    for share in release.plan.shares():
        # Refuses a share that this load balancer cannot be given.
        release.driver.plan(release.planned(share))
    problems = release.driver.check()
    if problems:
        raise OperatorError("Not started: " + " ".join(problems))


def _old_is_ready(release: Release) -> None:
    """All of the old colour must be able to take traffic back; for a hotfix, one process of it."""
    if not release.plan.hotfix:
        try:
            gate.require_ready(release.old)
        except OperatorError as error:
            raise type(error)(
                f"{error} It is the way back; put it right, or `mina-ops release start "
                f"{release.version} --hotfix` goes on if one process of it is ready."
            ) from error
        return
    for problem in gate.require_some_ready(release.old):
        release.note(Phase.CHECKS, notice="hotfix", reason=problem)
        release.observer.phase(Phase.CHECKS, f"hotfix, although {problem}")


def _figures(release: Release) -> None:
    release.old_app.drain_status()
    missing = missing_figures(release.old_app)
    if missing:
        paths = ", ".join(missing)
        raise OperatorError(f"Not started: {release.old.name} has no {paths}; triggers need it.")


def _remember(release: Release) -> None:
    """Journal the old colour's figures, and say which triggers will lack samples."""
    before = baseline(release.old_app, release.wanted)
    health = release.old_app.health()
    release.note(
        Phase.CHECKS,
        baseline=to_json(before),
        old_version=health.version,
    )
    flags.keep(release)
    lately = figures(release.old_app, _LATELY_SECONDS, wanted=release.wanted)
    for line in [*_sick(release, before), *outlook.lines(release.plan, before, lately)]:
        release.observer.phase(Phase.CHECKS, line)
        release.note(Phase.CHECKS, notice="outlook", reason=line)


def _sick(release: Release, before: Figures) -> list[str]:
    """What is wrong with the old colour before the start: a release may be what mends it."""
    rules = release.plan.triggers
    streaks = dict.fromkeys(("database", "ai_service", "database_latency"), _SEEN)
    judgement = judge(before, Figures(), rules, streaks)
    if judgement.response is Response.NONE:
        return []
    return [f"{release.old.name} is bad already: {reason}" for reason in judgement.reasons]
