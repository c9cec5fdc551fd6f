"""`mina-ops switch`: new visitors from one colour to the other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from mina_ops.cli import moving, output
from mina_ops.cli.session import Session
from mina_ops.errors import AppUnhealthy, AppUnreachable, ConfigurationError, Locked

if TYPE_CHECKING:
    from mina_ops.operator.traffic.base import Applied
    from mina_ops.operator.traffic.model import Split


@click.command(name="switch")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--instant", is_flag=True, help="All new visitors to TO, none by name.")
@click.option("--canary", type=click.IntRange(0, 100), metavar="N", help="N percent to TO.")
@click.option("--cohort", metavar="IDS", help="These user ids, by commas, to TO; shares stay.")
@click.option(
    "--force",
    is_flag=True,
    help="Even to a colour that is not ready, during a release, or past a silent load balancer.",
)
@output.dry_run_option
@output.json_option
@click.pass_obj
def command(
    session: Session,
    source: str,
    target: str,
    instant: bool,
    canary: int | None,
    cohort: str | None,
    force: bool,
    dry_run: bool,
) -> None:
    """Send new visitors from colour FROM to colour TO.

    Give one of --instant, --canary and --cohort. Live sessions stay where they are until that
    colour drains. TO must be ready; the load balancer is asked afterwards what it really does.

    \b
      mina-ops switch blue green --canary 10     10 % of new visitors to green
      mina-ops switch blue green --instant       everyone to green
      mina-ops switch green blue --canary 75     blue gets 75 %, green keeps 25 %
      mina-ops switch blue green --cohort 12345,67890
    """
    if sum((instant, canary is not None, cohort is not None)) != 1:
        raise click.UsageError("Give one of --instant, --canary N and --cohort IDS.")
    if instant:
        # A way back: what is wrong in another table must not keep traffic where it is.
        session = session.for_the_way_back(output.say)
    giver, taker = session.settings.colour(source), session.settings.colour(target)
    if giver.name == taker.name:
        raise ConfigurationError(f"FROM and TO are both {taker.name}; name two colours.")
    to = partial(_wanted, to=taker.name, instant=instant, canary=canary, cohort=cohort)
    if dry_run:
        _plan(session, to)
        return
    if not force:
        _refuse_during_a_release(session)
    applied = _move(session, f"switch {giver.name} {taker.name}", to, force=force)
    text = (
        f"{applied.before.describe()} -> {applied.after.split.describe()} "
        f"in {applied.milliseconds:.0f} ms"
    )
    output.data(_result(applied), text)


def _plan(session: Session, to: Callable[[Split], Split]) -> None:
    """Say what a switch would do."""
    before = session.driver.read().split
    wanted = _pinned(session, before, to(before))
    lines = session.driver.plan(wanted)
    value = {"dry_run": True, "before": before.to_json(), "after": wanted.to_json(), "plan": lines}
    output.data(value, "\n".join(lines))


def _move(session: Session, purpose: str, to: Callable[[Split], Split], *, force: bool) -> Applied:
    """Move traffic while nobody else can."""
    with moving.locked(session, purpose, insist=force) as lock:
        driver = session.driver
        before = (driver.read_reachable() if force else driver.read()).split
        wanted = _allowed(session, before, to(before), force=force)
        lock.require_held()
        applied = driver.apply_to_reachable(wanted) if force else driver.apply(wanted)
    for name, why in applied.after.left_behind.items():
        output.say(f"mina-ops: {name} was left behind: {why} Going on: --force.")
    return applied


def _allowed(session: Session, before: Split, wanted: Split, *, force: bool) -> Split:
    """`wanted` with the releases of open pages, if every colour that gets more is ready.

    Both are asked of the colours at the same time: one that hangs is waited for once.
    """
    pool = ThreadPoolExecutor(max_workers=1)
    pages = pool.submit(_pinned, session, before, wanted)
    # A refusal is said at once, although the process ends only when that ask has, within 2 s.
    pool.shutdown(wait=False)
    _gate(session, before, wanted, force=force)
    return pages.result()


def _pinned(session: Session, before: Split, wanted: Split) -> Split:
    from mina_ops.operator.traffic import pins

    return pins.pinned(session.settings, before, wanted)


def _refuse_during_a_release(session: Session) -> None:
    """A release that runs owns the traffic; two who move it would undo each other's work."""
    from mina_ops.operator.release import lock

    if lock.is_held(lock.folder_of(session.settings)):
        raise Locked(
            "A release is running and moves traffic itself: see `mina-ops release status`, abort "
            "it, or use --force."
        )


def _wanted(
    before: Split, to: str, *, instant: bool, canary: int | None, cohort: str | None
) -> Split:
    if instant:
        return before.without_cohorts().giving(to, 100)
    if canary is not None:
        return before.giving(to, canary)
    return before.with_cohort([user.strip() for user in (cohort or "").split(",")], to)


def _gate(session: Session, before: Split, wanted: Split, *, force: bool) -> None:
    """Every colour that gets more visitors than before must be ready."""
    from mina_ops.operator.traffic.gate import require_ready

    for name, colour in session.settings.colours.items():
        more = wanted.percent[name] > before.percent[name]
        more = more or any(
            before.cohorts.get(user) != to for user, to in wanted.cohorts.items() if to == name
        )
        if not more:
            continue
        try:
            require_ready(colour)
        except (AppUnhealthy, AppUnreachable) as error:
            if not force:
                raise type(error)(
                    f"{error} Traffic is as it was; put {name} right, or use --force."
                ) from error
            output.say(f"mina-ops: {error} Going on: --force.")


def _result(applied: Applied) -> dict[str, Any]:
    return {
        "before": applied.before.to_json(),
        "after": applied.after.split.to_json(),
        "generation": applied.after.generation,
        "proven": applied.after.proven,
        "left_behind": dict(applied.after.left_behind),
        "milliseconds": round(applied.milliseconds, 3),
    }
