"""Runs a release phase by phase, resumes one that was interrupted, and takes a bad one back."""

from __future__ import annotations

import logging

from mina_ops import files
from mina_ops.errors import (
    AccessDenied,
    ConfigurationError,
    MinaOpsError,
    OperatorError,
    ToolMissing,
)
from mina_ops.operator.release import phases
from mina_ops.operator.release.model import WITH_TRAFFIC, Phase
from mina_ops.operator.release.rollback import roll_back
from mina_ops.operator.release.verdicts.model import Response
from mina_ops.operator.release.watching import Bad, stop_if_aborted
from mina_ops.operator.release.world import World
from mina_ops.operator.traffic import gate

_log = logging.getLogger(__name__)


def run(world: World) -> None:
    """Run every phase that is still to do; returns when the release is done.

    Call it with the release lock held. Each phase is in the journal before it is begun and after
    it is done. A controller that is killed leaves traffic on a colour that was proven healthy
    for its share; `resume` goes on from there.

    Raises:
        RolledBack: it was judged bad, or aborted, and traffic is on the old colour.
        NotRolledBack: it was judged bad, and traffic could not be brought back yet.
        OperatorError: it failed before any traffic moved; nothing had to be taken back.
        ToolMissing, AccessDenied: likewise, because of that.
    """
    for phase in world.journal.progress().to_do():
        try:
            _run_phase(world, phase)
        except Bad as bad:
            _give_up(world, phase, bad.response, bad.reasons)
        except (ToolMissing, AccessDenied) as error:
            _give_up(world, phase, Response.INSTANT, [str(error)], type(error))
        except MinaOpsError as error:
            _give_up(world, phase, Response.INSTANT, [str(error)])
        except Exception as defect:  # nobody would watch the new colour's share any more
            _log.exception("a defect in %s", phase)
            _give_up(world, phase, Response.INSTANT, [f"a defect ({type(defect).__name__})"])


def resume(world: World) -> None:
    """Go on with a release whose controller ended, or finish taking it back. Raises as `run`.

    Before it goes on with traffic on the new colour, that must be ready; else it is taken back.
    """
    progress = world.journal.progress()
    if progress.ended:
        raise ConfigurationError(
            f"Release {world.journal.release_id} ended ({progress.phase}); nothing to resume."
        )
    if progress.phase is Phase.ROLLING_BACK:
        reasons = [str(reason) for reason in progress.detail.get("reasons", ["resumed"])]
        roll_back(world, Response.INSTANT, reasons)
    if progress.phase in WITH_TRAFFIC:
        try:
            gate.require_ready(world.new)
        except OperatorError as error:
            _give_up(world, progress.phase, Response.INSTANT, [f"after a restart: {error}"])
    run(world)


def take_back(world: World, why: str) -> None:
    """Take back a release whose controller ended, or one that is done. Raises as `run` does."""
    reason = f"aborted: {why}" if why else "aborted"
    _give_up(world, world.journal.progress().phase, Response.INSTANT, [reason])


def _run_phase(world: World, phase: Phase) -> None:
    phases.approve(world, phase)
    stop_if_aborted(world)
    world.journal.write("begin", phase)
    world.observer.phase(phase, "begins")
    world.run_hook(f"before_{phase}", phase)
    phases.STEPS[phase](world)
    world.run_hook(f"after_{phase}", phase)
    world.journal.write("end", phase)


def _give_up(
    world: World,
    phase: Phase,
    response: Response,
    reasons: list[str],
    kind: type[OperatorError] = OperatorError,
) -> None:
    """Take traffic back if any may have moved; else end the release as failed. Always raises."""
    if _may_have_moved(world):
        roll_back(world, response, reasons)
    why = "; ".join(reasons)
    try:
        world.journal.write("begin", Phase.FAILED, at_phase=phase, reasons=reasons)
        world.journal.write("end", Phase.FAILED)
    except files.NotWritten as error:
        world.observer.phase(Phase.FAILED, str(error))
    world.tell("failed", f"{world.version} failed in {phase}: {why}")
    raise kind(f"{world.version} failed in {phase}, before any traffic moved: {why}")


def _may_have_moved(world: World) -> bool:
    try:
        reached = world.journal.progress().phase
    except OperatorError:
        # Taking back what never moved does no harm.
        return True
    return reached in (*WITH_TRAFFIC, Phase.DONE, Phase.ROLLING_BACK)
