"""Runs a release phase by phase, resumes one that was interrupted, and takes a bad one back."""

from __future__ import annotations

import logging
from typing import NoReturn

from mina_ops import files
from mina_ops.errors import (
    AccessDenied,
    ConfigurationError,
    Locked,
    MinaOpsError,
    OperatorError,
    ToolMissing,
)
from mina_ops.operator.release import phases, shadow
from mina_ops.operator.release.model import WITH_TRAFFIC, Phase
from mina_ops.operator.release.release import Release
from mina_ops.operator.release.rollback import roll_back
from mina_ops.operator.release.verdicts.model import Response
from mina_ops.operator.release.watching import Bad, stop_if_aborted
from mina_ops.operator.traffic import gate

_log = logging.getLogger(__name__)


def run(release: Release) -> None:
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
    for phase in release.journal.progress().to_do():
        try:
            _run_phase(release, phase)
        except Bad as bad:
            _give_up(release, phase, bad.response, bad.reasons)
        except Locked:
            # Another controller has taken it over and moves traffic now; this one leaves it alone.
            raise
        except (ToolMissing, AccessDenied) as error:
            _give_up(release, phase, Response.INSTANT, [str(error)], type(error))
        except MinaOpsError as error:
            _give_up(release, phase, Response.INSTANT, [str(error)])
        except Exception as defect:  # nobody would watch the new colour's share any more
            _log.exception("a defect in %s", phase)
            _give_up(release, phase, Response.INSTANT, [f"a defect ({type(defect).__name__})"])


def resume(release: Release) -> None:
    """Go on with a release whose controller ended, or finish taking it back. Raises as `run`.

    Before it goes on with traffic on the new colour, that must be ready; else it is taken back.
    """
    progress = release.journal.progress()
    if progress.ended:
        raise ConfigurationError(
            f"Release {release.journal.release_id} ended ({progress.phase}); nothing to resume."
        )
    if progress.phase is Phase.ROLLING_BACK:
        reasons = [str(reason) for reason in progress.detail.get("reasons", ["resumed"])]
        roll_back(release, Response.INSTANT, reasons)
    if progress.phase in WITH_TRAFFIC:
        try:
            gate.require_ready(release.new)
        except OperatorError as error:
            _give_up(release, progress.phase, Response.INSTANT, [f"after a restart: {error}"])
    run(release)


def take_back(release: Release, why: str) -> None:
    """Take back a release whose controller ended, or one that is done. Raises as `run` does."""
    reason = f"aborted: {why}" if why else "aborted"
    _give_up(release, release.journal.progress().phase, Response.INSTANT, [reason])


def _run_phase(release: Release, phase: Phase) -> None:
    if not _was_begun(release, phase):
        for step in phases.approval(release, phase):
            step.act()
    stop_if_aborted(release)
    steps = phases.steps_of(release, phase)
    lines = [line for step in steps for line in step.lines]
    release.journal.write("begin", phase, steps=lines)
    release.observer.phase(phase, "begins")
    for step in steps:
        stop_if_aborted(release)
        step.act()
    release.journal.write("end", phase)


def _was_begun(release: Release, phase: Phase) -> bool:
    """Whether a controller that was killed had begun it, so that it was approved.

    To ask again would leave a share on the new colour that nobody watches meanwhile.
    """
    progress = release.journal.progress()
    return progress.started and progress.phase is phase and not progress.finished


def _give_up(
    release: Release,
    phase: Phase,
    response: Response,
    reasons: list[str],
    kind: type[OperatorError] = OperatorError,
) -> NoReturn:
    """Take traffic back if any may have moved; else end the release as failed. Always raises."""
    if _may_have_moved(release):
        roll_back(release, response, reasons)
    if phase is Phase.SHADOW:
        # A controller that was killed in it left its mirror behind.
        shadow.end(release)
    why = "; ".join(reasons)
    try:
        release.journal.write("begin", Phase.FAILED, at_phase=phase, reasons=reasons)
        release.journal.write("end", Phase.FAILED)
    except files.NotWritten as error:
        release.observer.phase(Phase.FAILED, str(error))
    release.tell("failed", f"{release.version} failed in {phase}: {why}")
    raise kind(f"{release.version} failed in {phase}, before any traffic moved: {why}")


def _may_have_moved(release: Release) -> bool:
    try:
        reached = release.journal.progress().phase
    except OperatorError:
        # Taking back what never moved does no harm.
        return True
    return reached in (*WITH_TRAFFIC, Phase.DONE, Phase.ROLLING_BACK)
