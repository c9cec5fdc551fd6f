"""Take a release back: flags off, traffic back, the old colour serving, the new one drained.

Traffic goes only to a colour that is ready. Nothing here waits for people, and what is not
needed to move traffic is tried, noted and left.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from mina_ops import files
from mina_ops.errors import MinaOpsError, OperatorError, RolledBack
from mina_ops.operator.release import flags
from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.release import Release
from mina_ops.operator.release.verdicts.model import Response
from mina_ops.operator.release.watching import Bad, Watch
from mina_ops.operator.traffic import gate
from mina_ops.operator.traffic.base import Applied

_PHASE = Phase.ROLLING_BACK


class NotRolledBack(OperatorError):
    """The old colour is not ready or the load balancer does not follow; traffic is where it was."""

    code = "not_rolled_back"
    exit_code = 7


def roll_back(release: Release, response: Response, reasons: list[str]) -> NoReturn:
    """Take the release back; idempotent, so that a killed one can be resumed.

    A gradual one first gives the old colour the plan's share and waits, where the load balancer
    can do that. Ends by raising.

    Raises:
        RolledBack: traffic is on the old colour again.
        NotRolledBack: it could not be brought there; the journal stays open for `resume`.
    """
    why = "; ".join(reasons)
    with suppress(OperatorError):
        release.control.forget()
    _journal(release, "begin", _PHASE, response=response, reasons=reasons, percent=None)
    release.observer.phase(_PHASE, why)
    _flags_off(release)
    _try(release, "cancel the old colour's drain", lambda: release.old_app.cancel_drain())
    _wait_until_ready(release, why)
    if response is Response.GRADUAL:
        _try(release, "go back gradually", lambda: _most_of_it(release))
    _traffic(release, why)
    _journal(release, "note", _PHASE, percent=0, traffic=release.old.name)
    release.tell("rollback", f"{release.version} taken back to {release.old.name}: {why}")
    _try(release, "drain the new colour", lambda: _drain_new(release))
    _try(release, "run the hook rolled_back", lambda: _hook(release))
    _journal(release, "begin", Phase.ROLLED_BACK, reasons=reasons)
    _journal(release, "end", Phase.ROLLED_BACK)
    for line in flags.lines(release):
        release.observer.phase(_PHASE, line)
        release.tell("rollback", line)
    runs = _version_of_old(release)
    raise RolledBack(
        f"{release.version} was rolled back: {why}. Traffic is on {release.old.name}"
        f"{f', which runs {runs}' if runs else ''}."
    )


def _hook(release: Release) -> None:
    for argv in release.commands("rolled_back"):
        release.run_command("rolled_back", _PHASE, argv)


def _version_of_old(release: Release) -> str | None:
    """What the old colour runs; told, and paged where it is not what it ran before the release."""
    try:
        runs = release.old_app.health().version
    except MinaOpsError:
        return None
    ran = release.journal.progress().detail.get("old_version")
    if ran is not None and ran != runs:
        text = f"{release.old.name} runs {runs} now, and ran {ran} before the release."
        release.observer.phase(_PHASE, text)
        release.tell("alert", f"{release.version}: {text}")
    return runs


def _flags_off(release: Release) -> None:
    body = {"release": release.version}
    for colour in (release.old, release.new):
        # A token that cannot be read is a problem of this step alone.
        with suppress(MinaOpsError):
            app = release.old_app if colour is release.old else release.new_app
            status, _ = app.request(
                "POST", "/admin/flags/-/disable-for-release", body=body, admin=True
            )
            if status < 300:
                return
    release.observer.phase(_PHASE, "the release's flags could not be switched off; do it by hand")


def _wait_until_ready(release: Release, why: str) -> None:
    """Wait for all of the old colour; at the end of the patience, one ready instance is enough."""
    deadline = release.clock() + release.plan.ready_seconds
    while release.clock() < deadline:
        with suppress(OperatorError):
            gate.require_ready(release.old)
            return
        release.sleep(min(1.0, release.plan.look_seconds))
    try:
        missing = gate.require_some_ready(release.old)
    except OperatorError as error:
        text = f"{why}. NOT rolled back: {error} {_next(release)}"
        release.tell("alert", f"{release.version}: {text}")
        raise NotRolledBack(text) from error
    if missing:
        text = f"going back to {release.old.name} although not all of it is ready: {missing[0]}"
        _journal(release, "note", _PHASE, notice="alert", reason=text)
        release.observer.phase(_PHASE, text)
        release.tell("alert", f"{release.version}: {text}")


def _next(release: Release) -> str:
    """What to type where the old colour does not answer as ready."""
    back = f"mina-ops switch {release.new.name} {release.old.name} --instant --force"
    return (
        f"Make {release.old.name} ready, then `mina-ops rollback` again; or, if you know that it "
        f"serves, `{back}`."
    )


def _traffic(release: Release, why: str) -> None:
    deadline = release.clock() + release.plan.ready_seconds
    while True:
        try:
            applied = release.take_back()
        except MinaOpsError as error:
            if release.clock() >= deadline:
                again = "Mend the load balancer, then `mina-ops rollback` again."
                text = f"{why}. NOT rolled back: {error} {again}"
                release.tell("alert", f"{release.version}: {text}")
                raise NotRolledBack(text) from error
        else:
            _tell_of_those_behind(release, applied)
            return
        release.sleep(min(1.0, release.plan.look_seconds))


def _tell_of_those_behind(release: Release, applied: Applied) -> None:
    """Page about load balancers that did not hear of the way back."""
    for name, why in applied.after.left_behind.items():
        text = (
            f"{name} was left behind and may still send visitors to {release.new.name}: {why} Stop "
            "it, and let it catch up before it serves: `mina-ops traffic catch-up`."
        )
        _journal(release, "note", _PHASE, notice="alert", reason=text)
        release.observer.phase(_PHASE, text)
        release.tell("alert", f"{release.version}: {text}")


def _most_of_it(release: Release) -> None:
    """Wait at the plan's share as long as it says; not once it gets worse, or somebody aborts."""
    release.leave(100 - release.plan.gradual_percent)
    watching, began = Watch(release, _PHASE), release.clock()
    while (left := began + release.plan.gradual_seconds - release.clock()) > 0:
        release.sleep(min(left, max(1.0, release.plan.look_seconds)))
        try:
            watching.look(release.clock() - began)
        except Bad as bad:
            if bad.response is Response.INSTANT:
                return
        except OperatorError:
            return


def _drain_new(release: Release) -> None:
    grace = release.plan.drain_grace_seconds
    release.new_app.begin_drain(grace)
    for status in release.following(release.new_app):
        release.observer.drain(release.new.name, status.active_connections)


def _try(release: Release, what: str, step: Callable[[], object]) -> None:
    try:
        step()
    except MinaOpsError as error:
        release.observer.phase(_PHASE, f"could not {what}: {error}")
        _journal(release, "note", _PHASE, could_not=what, error=str(error))


def _journal(release: Release, event: str, phase: Phase, **detail: object) -> None:
    # A full disk stops a release from going on, never from going back.
    try:
        known = {name: value for name, value in detail.items() if value is not None}
        release.journal.write(event, phase, **known)
    except files.NotWritten as error:
        release.observer.phase(phase, str(error))
