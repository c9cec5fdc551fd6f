"""Take a release back: flags off, traffic back, the old colour serving, the new one drained.

Traffic goes only to a colour that is ready. Nothing here waits for people, and what is not
needed to move traffic is tried, noted and left.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from mina_ops import files
from mina_ops.errors import MinaOpsError, OperatorError, RolledBack
from mina_ops.operator.api import draining
from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.verdicts.model import Response
from mina_ops.operator.release.watching import Bad, Watch
from mina_ops.operator.release.world import World
from mina_ops.operator.traffic import gate

_PHASE = Phase.ROLLING_BACK


class NotRolledBack(OperatorError):
    """The old colour is not ready or the load balancer does not follow; traffic is where it was."""

    code = "not_rolled_back"
    exit_code = 7


def roll_back(world: World, response: Response, reasons: list[str]) -> None:
    """Take the release back; idempotent, so that a killed one can be resumed.

    A gradual one first gives the old colour the plan's share and waits, where the load balancer
    can do that. Ends by raising.

    Raises:
        RolledBack: traffic is on the old colour again.
        NotRolledBack: it could not be brought there; the journal stays open for `resume`.
    """
    why = "; ".join(reasons)
    _journal(world, "begin", _PHASE, response=response, reasons=reasons, percent=None)
    world.observer.phase(_PHASE, why)
    _flags_off(world)
    _try(world, "cancel the old colour's drain", lambda: world.old_app.cancel_drain())
    _wait_until_ready(world, why)
    if response is Response.GRADUAL:
        _try(world, "go back gradually", lambda: _most_of_it(world))
    _traffic(world, why)
    _journal(world, "note", _PHASE, percent=0, traffic=world.old.name)
    world.tell("rollback", f"{world.version} taken back to {world.old.name}: {why}")
    _try(world, "drain the new colour", lambda: _drain_new(world))
    _try(world, "run the hook rolled_back", lambda: world.run_hook("rolled_back", _PHASE))
    _journal(world, "begin", Phase.ROLLED_BACK, reasons=reasons)
    _journal(world, "end", Phase.ROLLED_BACK)
    raise RolledBack(f"{world.version} was rolled back: {why}. Traffic is on {world.old.name}.")


def _flags_off(world: World) -> None:
    body = {"release": world.version}
    for colour in (world.old, world.new):
        # A token that cannot be read is a problem of this step alone.
        with suppress(MinaOpsError):
            app = world.old_app if colour is world.old else world.new_app
            status, _ = app.request(
                "POST", "/admin/flags/-/disable-for-release", body=body, admin=True
            )
            if status < 300:
                return
    world.observer.phase(_PHASE, "the release's flags could not be switched off; do it by hand")


def _wait_until_ready(world: World, why: str) -> None:
    """Wait for all of the old colour; at the end of the patience, one ready instance is enough."""
    deadline = world.clock() + world.plan.ready_seconds
    while world.clock() < deadline:
        with suppress(OperatorError):
            gate.require_ready(world.old)
            return
        world.sleep(min(1.0, world.plan.look_seconds))
    try:
        missing = gate.require_some_ready(world.old)
    except OperatorError as error:
        text = f"{why}. NOT rolled back: {error} Make {world.old.name} ready, then resume."
        world.tell("alert", f"{world.version}: {text}")
        raise NotRolledBack(text) from error
    if missing:
        text = f"going back to {world.old.name} although not all of it is ready: {missing[0]}"
        _journal(world, "note", _PHASE, notice="alert", reason=text)
        world.observer.phase(_PHASE, text)
        world.tell("alert", f"{world.version}: {text}")


def _traffic(world: World, why: str) -> None:
    deadline = world.clock() + world.plan.ready_seconds
    while True:
        try:
            world.take_back()
        except MinaOpsError as error:
            if world.clock() >= deadline:
                text = f"{why}. NOT rolled back: {error} Mend the load balancer, then resume."
                world.tell("alert", f"{world.version}: {text}")
                raise NotRolledBack(text) from error
        else:
            return
        world.sleep(min(1.0, world.plan.look_seconds))


def _most_of_it(world: World) -> None:
    """Wait at the plan's share as long as it says; not once it gets worse, or somebody aborts."""
    world.leave(100 - world.plan.gradual_percent)
    watching, began = Watch(world, _PHASE), world.clock()
    while (left := began + world.plan.gradual_seconds - world.clock()) > 0:
        world.sleep(min(left, max(1.0, world.plan.look_seconds)))
        try:
            watching.look(world.clock() - began)
        except Bad as bad:
            if bad.response is Response.INSTANT:
                return
        except OperatorError:
            return


def _drain_new(world: World) -> None:
    grace = world.plan.drain_grace_seconds
    world.new_app.begin_drain(grace)
    for status in draining.follow(world.new_app, grace, clock=world.clock, sleep=world.sleep):
        world.observer.drain(world.new.name, status.active_connections)


def _try(world: World, what: str, step: Callable[[], object]) -> None:
    try:
        step()
    except MinaOpsError as error:
        world.observer.phase(_PHASE, f"could not {what}: {error}")
        _journal(world, "note", _PHASE, could_not=what, error=str(error))


def _journal(world: World, event: str, phase: Phase, **detail: object) -> None:
    # A full disk stops a release from going on, never from going back.
    try:
        known = {name: value for name, value in detail.items() if value is not None}
        world.journal.write(event, phase, **known)
    except files.NotWritten as error:
        world.observer.phase(phase, str(error))
