"""What each phase of a release does. Every phase can be done twice, so a killed one is resumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from mina_ops.errors import AppUnhealthy, AppUnreachable, DrainForced, DrainTimedOut, OperatorError
from mina_ops.operator.api import draining
from mina_ops.operator.release import checking, shadow, steps
from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.release import Release
from mina_ops.operator.release.steps import Step
from mina_ops.operator.release.verdicts.figures import ENDPOINTS, missing_figures
from mina_ops.operator.release.verdicts.model import Response
from mina_ops.operator.release.watching import Bad, Watch, aborted, stop_if_aborted
from mina_ops.operator.traffic import gate

# A single late answer, of a process that is busy for a moment, must not take a release back.
_SILENCE_SECONDS = 5.0

T = TypeVar("T")


def steps_of(release: Release, phase: Phase) -> list[Step]:
    """All that a phase does, in order, its hooks included; its `approval` comes before."""
    return [
        *steps.hook(release, f"before_{phase}", phase),
        *_OWN[phase](release),
        *steps.hook(release, f"after_{phase}", phase),
    ]


def _checks(release: Release) -> list[Step]:
    """Nothing is touched before all of this holds: hooks, load balancer, old colour, figures."""
    return [*checking.steps_of(release), *steps.hook(release, "checks", Phase.CHECKS)]


def _hook_alone(release: Release, phase: Phase) -> list[Step]:
    return steps.hook(release, str(phase), phase)


def _start(release: Release) -> list[Step]:
    """Start and scale the new colour, let it serve if it was drained, and warm it up.

    Pages of what it ran before go to the old colour first: none of them may meet the new release.
    """
    app, seconds = release.new_app, release.plan.health_seconds
    warm = [
        # A cold first answer may be later than the client waits.
        Step(
            steps.asking(release.new, path),
            partial(until, release, seconds, partial(app.request, "GET", path)),
        )
        for path in release.plan.warm_up
    ]
    forget = [f"let no page of an earlier release stay with {release.new.name}"]
    return [
        Step(forget, partial(until, release, _SILENCE_SECONDS, release.forget_pages)),
        *steps.hook(release, "start", Phase.START),
        *steps.hook(release, "scale", Phase.START),
        Step(
            steps.asking(release.new, "/api/health"),
            partial(until, release, seconds, app.health),
        ),
        Step(
            steps.asking(release.new, "/admin/drain", method="DELETE"),
            partial(until, release, seconds, app.cancel_drain),
        ),
        *warm,
    ]


def _health(release: Release) -> list[Step]:
    """The new colour is the release, is ready in every instance, and stays so for some looks."""
    looks, seconds = release.plan.health_looks, release.plan.health_seconds

    def stays_ready() -> None:
        for _ in range(looks):
            until(release, seconds, lambda: gate.require_ready(release.new))
            release.sleep(release.plan.look_seconds)

    def is_the_release() -> None:
        found = until(release, seconds, release.new_app.health)
        if found.version != release.version:
            raise AppUnhealthy(
                f"{release.new.name} runs {found.version}, not {release.version}; deploy it first."
            )

    def has_figures() -> None:
        missing = until(release, seconds, lambda: missing_figures(release.new_app))
        if missing:
            lacking = ", ".join(missing)
            raise AppUnhealthy(f"{release.new.name} lacks {lacking}, which triggers need.")

    metrics = [f"/api/metrics/{name}" for name in ENDPOINTS]
    return [
        Step([f"{looks} times in a row:", *steps.readiness(release.new)], stays_ready),
        Step(steps.asking(release.new, "/api/health"), is_the_release),
        Step(steps.asking(release.new, *metrics), has_figures),
    ]


def _switch(release: Release) -> list[Step]:
    """Give the new colour its shares one after the other; each must pass before the next."""
    reached = release.journal.progress().percent
    shares = [share for share in release.plan.shares() if share >= reached]
    public = Step(
        [f"GET {release.settings.public_url}/api/health"],
        # What lies before the load balancer may take a moment to follow.
        lambda: until(release, release.plan.ready_seconds, lambda: _require_public(release)),
    )
    return [*(step for share in shares for step in _share(release, share)), public]


def _share(release: Release, share: int) -> list[Step]:
    def ready() -> None:
        until(release, _SILENCE_SECONDS, lambda: gate.require_ready(release.new))

    def give() -> None:
        release.journal.write("step", Phase.SWITCH, percent=share)
        applied = release.give(share, cohort=release.plan.strategy == "cohort")
        milliseconds = round(applied.milliseconds, 1)
        release.note(Phase.SWITCH, applied=share, milliseconds=milliseconds)

    seconds = release.plan.step_seconds
    return [
        Step(steps.readiness(release.new), ready),
        Step(release.driver.plan(release.planned(share)), give),
        Step(
            [
                *steps.watching(release, seconds, f"at {share} %, watch both colours for"),
                *steps.load(release),
            ],
            lambda: Watch.of(release, Phase.SWITCH).run(seconds),
        ),
    ]


def _drain(release: Release) -> list[Step]:
    """Move the live sessions of the old colour.

    Sessions that had to be cut or will not leave, and an old colour that is gone, are noted and
    told: they say nothing against the new one, and to go back would move everybody once more.
    """

    def drain() -> None:
        try:
            _drain_old(release)
        except (DrainForced, DrainTimedOut, AppUnreachable) as error:
            release.note(Phase.DRAIN, not_clean=str(error))
            release.observer.phase(Phase.DRAIN, str(error))
            release.tell("alert", f"{release.version}, drain of {release.old.name}: {error}")

    grace = release.plan.drain_grace_seconds
    order = f'POST {release.old.url}/admin/drain {{"grace_seconds": {grace:g}}}'
    follow = [
        f"GET {release.old.url}/admin/drain, twice a second until it is drained, and the load "
        "balancer, where it can tell, has no request in flight to it"
    ]
    looks = steps.watching(release, grace, "meanwhile, for at most")
    return [Step([order, *follow, *looks], drain)]


def _watch_all(release: Release) -> list[Step]:
    """Watch the new colour with all traffic on it; at the end it must really have all of it."""

    def has_all() -> None:
        served = until(release, release.plan.ready_seconds, release.driver.read).split
        if served.percent[release.new.name] != 100:
            raise OperatorError(f"Somebody else moved traffic: {served.describe()}.")

    seconds = release.plan.watch_seconds
    return [
        Step(
            [*steps.watching(release, seconds, "watch both colours for"), *steps.load(release)],
            lambda: Watch.of(release, Phase.WATCH).run(seconds),
        ),
        Step(["ask the load balancer for its split"], has_all),
    ]


def _done(release: Release) -> list[Step]:
    """Say so; the old colour stays as it is, for a rollback, unless the plan's hook stops it.

    Once it is stopped there is no way back, so the new one is asked a last time.
    """

    def ready() -> None:
        until(release, release.plan.ready_seconds, lambda: gate.require_ready(release.new))

    def tell() -> None:
        release.tell("release", f"{release.version} is on {release.new.name} with all traffic.")

    stops = [
        Step(one.lines, partial(_stop, release, one))
        for one in steps.hook(release, "stop", Phase.DONE)
    ]
    return [Step(steps.readiness(release.new), ready), *stops, Step(["tell people"], tell)]


def _stop(release: Release, step: Step) -> None:
    try:
        step.act()
    except OperatorError as error:
        release.note(Phase.DONE, could_not="stop", error=str(error))
        release.tell("alert", f"{release.version}: {error}")


_OWN: Mapping[Phase, Callable[[Release], Sequence[Step]]] = {
    Phase.CHECKS: _checks,
    Phase.BACKUP: partial(_hook_alone, phase=Phase.BACKUP),
    Phase.MIGRATE: partial(_hook_alone, phase=Phase.MIGRATE),
    Phase.START: _start,
    Phase.HEALTH: _health,
    Phase.SMOKE: partial(_hook_alone, phase=Phase.SMOKE),
    Phase.SHADOW: shadow.steps_of,
    Phase.SWITCH: _switch,
    Phase.DRAIN: _drain,
    Phase.WATCH: _watch_all,
    Phase.DONE: _done,
}


def approval(release: Release, phase: Phase) -> list[Step]:
    """Waiting for somebody to promote the phase, where the plan wants that."""
    seconds = release.plan.approvals.get(phase)
    if seconds is None:
        return []
    line = f"wait up to {seconds:g} s for `mina-ops release promote`"
    return [Step([line], lambda: approve(release, phase, seconds))]


def approve(release: Release, phase: Phase, seconds: float) -> None:
    """Wait until somebody promotes a phase that the plan wants approved.

    Raises:
        Bad: nobody did in time, or somebody aborted.
    """
    # Who promoted a share before did not approve what only now waits.
    release.control.skip_old("promote")
    text = f"{release.version} waits for approval of {phase}: `mina-ops release promote`"
    release.tell("release", text)
    release.observer.phase(phase, text)
    release.observer.stays(None, paused=True)
    deadline = release.clock() + seconds
    while release.clock() < deadline:
        request = release.control.take("promote")
        if request is not None and request.kind == "abort":
            raise Bad(Response.INSTANT, [aborted(request)])
        if request is not None and request.kind == "promote":
            release.journal.write("request", phase, kind="promote", who=request.who)
            release.observer.stays(None, paused=False)
            return
        release.sleep(min(1.0, release.plan.look_seconds))
    raise Bad(Response.INSTANT, [f"nobody approved {phase} within {seconds:g} s"])


def _drain_old(release: Release) -> None:
    grace = release.plan.drain_grace_seconds
    until(release, release.plan.ready_seconds, lambda: release.old_app.begin_drain(grace))
    watch = Watch.of(release, Phase.DRAIN)
    began, status, most = release.clock(), None, 0
    for status in release.following(release.old_app):
        release.observer.drain(release.old.name, status.active_connections)
        most = max(most, status.active_connections or 0)
        watch.look(release.clock() - began)
    release.note(Phase.DRAIN, drained=release.old.name, sessions=most)
    if status is not None:
        draining.judge(release.old_app, status)


def _require_public(release: Release) -> None:
    public = release.public_app.health()
    if public.environment != release.new.name:
        raise OperatorError(
            f"The public address answers as {public.environment}, not {release.new.name}."
        )


def until(release: Release, seconds: float, step: Callable[[], T]) -> T:
    """What the step returns; it is tried again while it raises, for `seconds`, at least once."""
    deadline = release.clock() + seconds
    while True:
        stop_if_aborted(release)
        try:
            return step()
        except OperatorError:
            if release.clock() >= deadline:
                raise
        release.sleep(min(1.0, release.plan.look_seconds))
