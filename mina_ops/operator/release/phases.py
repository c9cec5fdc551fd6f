"""What each phase of a release does. Every phase can be done twice, so a killed one is resumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from mina_ops.errors import AppUnhealthy, AppUnreachable, DrainForced, DrainTimedOut, OperatorError
from mina_ops.operator.api import draining
from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.verdicts.figures import (
    baseline,
    from_json,
    missing_figures,
    to_json,
)
from mina_ops.operator.release.verdicts.model import Response
from mina_ops.operator.release.watching import Bad, Watch, aborted, stop_if_aborted
from mina_ops.operator.release.world import World
from mina_ops.operator.traffic import gate

# One answer that is late, of a process that is busy for a moment, takes nothing back.
_SILENCE_SECONDS = 5.0

T = TypeVar("T")


def checks(world: World) -> None:
    """Nothing is touched before all of this holds: hooks, load balancer, old colour, figures."""
    world.require_programs()
    for share in world.plan.shares():
        # Refuses a share that this load balancer cannot be given.
        world.driver.plan(world.planned(share))
    problems = list(world.driver.check())
    gate.require_ready(world.old)
    world.old_app.drain_status()
    problems += [
        f"{world.old.name} has no {path}, which a trigger needs."
        for path in missing_figures(world.old_app)
    ]
    if problems:
        raise OperatorError("Not started: " + " ".join(problems))
    world.run_hook("checks", Phase.CHECKS)
    world.note(Phase.CHECKS, baseline=to_json(baseline(world.old_app, world.wanted)))


def backup(world: World) -> None:
    """The database's backup, by the plan's hook."""
    world.run_hook("backup", Phase.BACKUP)


def migrate(world: World) -> None:
    """The migrations, by the plan's hook; forward only."""
    world.run_hook("migrate", Phase.MIGRATE)


def start(world: World) -> None:
    """Start and scale the new colour, let it serve if it was drained, and warm it up."""
    world.run_hook("start", Phase.START)
    world.run_hook("scale", Phase.START)
    _until(world, world.plan.health_seconds, lambda: world.new_app.health())
    _until(world, world.plan.health_seconds, world.new_app.cancel_drain)
    for path in world.plan.warm_up:
        # A cold first answer may be later than the client waits.
        _until(world, world.plan.health_seconds, partial(world.new_app.request, "GET", path))


def health(world: World) -> None:
    """The new colour is the release, is ready in every instance, and stays so for some looks."""
    for _ in range(world.plan.health_looks):
        _until(world, world.plan.health_seconds, lambda: gate.require_ready(world.new))
        world.sleep(world.plan.look_seconds)
    found = _until(world, world.plan.health_seconds, world.new_app.health)
    if found.version != world.version:
        raise AppUnhealthy(
            f"{world.new.name} runs {found.version}, not {world.version}; deploy it first."
        )
    missing = _until(world, world.plan.health_seconds, lambda: missing_figures(world.new_app))
    if missing:
        raise AppUnhealthy(f"{world.new.name} lacks {', '.join(missing)}, which triggers need.")


def smoke(world: World) -> None:
    """The smoke tests, by the plan's hook."""
    world.run_hook("smoke", Phase.SMOKE)


def switch(world: World) -> None:
    """Give the new colour its shares one after the other; each must pass before the next."""
    progress = world.journal.progress()
    shares = [share for share in world.plan.shares() if share >= progress.percent]
    cohort = world.plan.strategy == "cohort"
    for share in shares:
        _until(world, _SILENCE_SECONDS, lambda: gate.require_ready(world.new))
        world.journal.write("step", Phase.SWITCH, percent=share)
        applied = world.give(share, cohort=cohort)
        world.note(Phase.SWITCH, applied=share, milliseconds=round(applied.milliseconds, 1))
        _watching(world, Phase.SWITCH).run(world.plan.step_seconds)
    # What lies before the load balancer may take a moment to follow.
    _until(world, world.plan.ready_seconds, lambda: _require_public(world))


def drain(world: World) -> None:
    """Move the live sessions of the old colour.

    Sessions that had to be cut or will not leave, and an old colour that is gone, are noted and
    told: they say nothing against the new one, and to go back would move everybody once more.
    """
    try:
        _drain_old(world)
    except (DrainForced, DrainTimedOut, AppUnreachable) as error:
        world.note(Phase.DRAIN, not_clean=str(error))
        world.observer.phase(Phase.DRAIN, str(error))
        world.tell("alert", f"{world.version}, drain of {world.old.name}: {error}")


def watch(world: World) -> None:
    """Watch the new colour with all traffic on it; at the end it must really have all of it."""
    _watching(world, Phase.WATCH).run(world.plan.watch_seconds)
    served = _until(world, world.plan.ready_seconds, world.driver.read).split
    if served.percent[world.new.name] != 100:
        raise OperatorError(f"Somebody else moved traffic: {served.describe()}.")


def done(world: World) -> None:
    """Say so; the old colour stays as it is, for a rollback, unless the plan's hook stops it.

    Once it is stopped there is no way back, so the new one is asked a last time.
    """
    _until(world, world.plan.ready_seconds, lambda: gate.require_ready(world.new))
    try:
        world.run_hook("stop", Phase.DONE)
    except OperatorError as error:
        world.note(Phase.DONE, could_not="stop", error=str(error))
        world.tell("alert", f"{world.version}: {error}")
    world.tell("release", f"{world.version} is on {world.new.name} with all traffic.")


STEPS: Mapping[Phase, Callable[[World], None]] = {
    Phase.CHECKS: checks,
    Phase.BACKUP: backup,
    Phase.MIGRATE: migrate,
    Phase.START: start,
    Phase.HEALTH: health,
    Phase.SMOKE: smoke,
    Phase.SWITCH: switch,
    Phase.DRAIN: drain,
    Phase.WATCH: watch,
    Phase.DONE: done,
}


def approve(world: World, phase: Phase) -> None:
    """Wait until somebody promotes a phase that the plan wants approved.

    Raises:
        Bad: nobody did in time, or somebody aborted.
    """
    seconds = world.plan.approvals.get(phase)
    if seconds is None:
        return
    # Who promoted a share before did not approve what only now waits.
    world.control.skip_old("promote")
    text = f"{world.version} waits for approval of {phase}: `mina-ops release promote`"
    world.tell("release", text)
    world.observer.phase(phase, text)
    deadline = world.clock() + seconds
    while world.clock() < deadline:
        request = world.control.take("promote")
        if request is not None and request.kind == "abort":
            raise Bad(Response.INSTANT, [aborted(request)])
        if request is not None and request.kind == "promote":
            world.journal.write("request", phase, kind="promote", who=request.who)
            return
        world.sleep(min(1.0, world.plan.look_seconds))
    raise Bad(Response.INSTANT, [f"nobody approved {phase} within {seconds:g} s"])


def _watching(world: World, phase: Phase) -> Watch:
    raw = world.journal.progress().detail.get("baseline")
    return Watch(world, phase, from_json(raw) if raw else None)


def _drain_old(world: World) -> None:
    grace = world.plan.drain_grace_seconds
    _until(world, world.plan.ready_seconds, lambda: world.old_app.begin_drain(grace))
    watching = _watching(world, Phase.DRAIN)
    began, status = world.clock(), None
    for status in draining.follow(world.old_app, grace, clock=world.clock, sleep=world.sleep):
        world.observer.drain(world.old.name, status.active_connections)
        watching.look(world.clock() - began)
    if status is not None:
        draining.judge(world.old_app, status)


def _require_public(world: World) -> None:
    public = world.public_app.health()
    if public.environment != world.new.name:
        raise OperatorError(
            f"The public address answers as {public.environment}, not {world.new.name}."
        )


def _until(world: World, seconds: float, step: Callable[[], T]) -> T:
    """What the step gives at last; it is tried for so long, and at least once."""
    deadline = world.clock() + seconds
    while True:
        stop_if_aborted(world)
        try:
            return step()
        except OperatorError:
            if world.clock() >= deadline:
                raise
        world.sleep(min(1.0, world.plan.look_seconds))
