"""`mina-ops lock`: who may move the traffic of this site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from mina_ops.cli import output
from mina_ops.cli.session import Session
from mina_ops.errors import Locked, OperatorError
from mina_ops.operator.api.leases import Holder

_MOST_MINUTES = 60


@click.group(name="lock", invoke_without_command=True)
@output.json_option
@click.pass_context
def command(context: click.Context) -> None:
    """One site, one lock: who holds it, wherever that command was typed.

    \b
      mina-ops lock                        who holds it, in the app and beside the load balancer
      mina-ops lock acquire -m "upgrade"   keep others from moving traffic for half an hour
      mina-ops lock break                  take it from whoever has it
    """
    if context.invoked_subcommand is None:
        context.invoke(status)


@command.command()
@output.json_option
@click.pass_obj
def status(session: Session) -> None:
    """Say who holds it; exit 0 whether it is free or held."""
    from mina_ops.operator.traffic.site_lock import Places, held_by

    places = Places(session.settings, session.driver).holders()
    lines = []
    for name, found in places.items():
        said = f"cannot be asked: {found}" if isinstance(found, str) else "free"
        lines.append(f"{name}: {held_by(found) if isinstance(found, Holder) else said}")
    value = {name: _json(found) for name, found in places.items()}
    output.data(value, "\n".join(lines))


@command.command()
@click.option("-m", "--message", required=True, help="Why; shown to whoever finds it held.")
@click.option(
    "--minutes",
    type=click.FloatRange(0.1, _MOST_MINUTES),
    default=30.0,
    show_default=True,
    help="How long; then it is free by itself.",
)
@output.json_option
@click.pass_obj
def acquire(session: Session, message: str, minutes: float) -> None:
    """Hold it for a while; `mina-ops lock break` gives it back early."""
    from mina_ops.operator.traffic.site_lock import Places, held_by, new_holder

    # It is held for a person, who is there when this process has ended.
    mine = new_holder(message, ttl_seconds=minutes * 60, outlives_process=True)
    taken = Places(session.settings, session.driver).take(mine)
    if taken.other is not None:
        raise Locked(held_by(taken.other))
    if not taken.places:
        raise OperatorError(f"Nothing could be locked. {' '.join(taken.failures)}")
    output.data(_json(mine), f"held for {minutes:g} minutes: {message}")


@command.command(name="break")
@output.json_option
@click.pass_obj
def break_(session: Session) -> None:
    """Take it from whoever has it; that goes on record, and the holder notices."""
    from mina_ops.operator.traffic.site_lock import Places, held_by

    places = Places(session.settings, session.driver)
    broken = _held(places.holders())
    failures = [failure for held in broken for failure in places.break_(held.id)]
    if left := _held(places.holders()):
        raise Locked(f"{held_by(left[0])} It could not be broken. {' '.join(failures)}")
    lines = [f"broken: {held_by(held)}" for held in broken] or ["it was free"]
    output.data({"broken": [_json(h) for h in broken]}, "\n".join(lines))


def _held(places: Mapping[str, Holder | str | None]) -> list[Holder]:
    """Who holds any of the places, each once."""
    return list({one.id: one for one in places.values() if isinstance(one, Holder)}.values())


def _json(found: Holder | str | None) -> dict[str, Any] | str | None:
    return found.to_json() if isinstance(found, Holder) else found
