"""`mina-ops watch`: active health checks beside a load balancer that has none."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from mina_ops.cli import output
from mina_ops.cli.session import Session
from mina_ops.errors import OperatorError

if TYPE_CHECKING:
    from mina_ops.operator.traffic.watching import Sight, TakeOut

_ALERT_SECONDS = 10.0


@click.command(name="watch")
@click.argument("colours", nargs=-1)
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Pause between two rounds.",
)
@click.option(
    "--fails",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Failures until it is down.",
)
@click.option(
    "--passes", type=click.IntRange(1), default=2, show_default=True, help="Passes until it is up."
)
@click.option("--rounds", type=click.IntRange(1), help="End after this many; default: never.")
@click.option("--alert", metavar="COMMAND", help="Run with a sentence when it went down or up.")
@click.option("--take-out", is_flag=True, help="Move traffic off a colour that is down.")
@output.json_option
@click.pass_obj
def command(
    session: Session,
    colours: tuple[str, ...],
    interval: float,
    fails: int,
    passes: int,
    rounds: int | None,
    alert: str | None,
    take_out: bool,
) -> None:
    """Ask COLOURS (default: both) for their health, again and again.

    A colour is down after --fails failures in a row and up after --passes passes. With --take-out,
    a colour that is down loses its traffic if the other one is ready, and gets it back when it is
    up. With --json, each look is one JSON line. The last look decides the exit code when --rounds
    end: 3 if a colour is down.
    """
    from mina_ops.errors import AppUnhealthy
    from mina_ops.operator.traffic.watching import TakeOut, watch

    settings = session.settings
    names = colours or tuple(settings.colours)
    taker = TakeOut(settings, session.driver) if take_out else None
    last: dict[str, Sight] = {}
    failures: dict[str, str] = {}
    pause = _pause(interval, rounds)
    for sight in watch(settings, names, pause, fails=fails, passes=passes):
        last[sight.colour] = sight
        _show(sight)
        if sight.flipped:
            _tell(sight, alert)
        if taker is not None:
            _take_out(taker, sight, failures)
    down = [sight.colour for sight in last.values() if not sight.up]
    if down:
        raise AppUnhealthy(f"{' and '.join(down)} is down.")


def _pause(interval: float, rounds: int | None) -> Callable[[], bool]:
    done = 0

    def pause() -> bool:
        nonlocal done
        done += 1
        if rounds is not None and done >= rounds:
            return False
        time.sleep(interval)
        return True

    return pause


def _show(sight: Sight) -> None:
    if output.is_json():
        value = {"colour": sight.colour, "healthy": sight.healthy, "up": sight.up}
        output.data({**value, "detail": sight.detail, "time": time.time()}, "")
    elif sight.healthy:
        click.echo(f"✅ HEALTHY: {sight.colour}")
    else:
        click.echo(output.plain(f"❌ UNHEALTHY: {sight.detail}"))


def _tell(sight: Sight, alert: str | None) -> None:
    state = "healthy again" if sight.up else "unhealthy"
    message = f"Environment {sight.colour} is {state}"
    output.say(message if sight.up else f"{message}: {sight.detail}")
    if alert is None:
        return
    from mina_ops.operator.system import programs

    variables = {"MINA_OPS_COLOUR": sight.colour, "MINA_OPS_STATE": "up" if sight.up else "down"}
    try:
        result = programs.run(
            [alert, message], timeout_seconds=_ALERT_SECONDS, environment=variables
        )
        if not result.ok:
            output.say(f"The alert command failed: {result.last_line()}")
    except OperatorError as error:
        output.say(f"The alert command failed: {error}")


def _take_out(taker: TakeOut, sight: Sight, failures: dict[str, str]) -> None:
    """Move traffic off or back; a failure that repeats itself is said once."""
    try:
        done = taker.act(sight)
    except OperatorError as error:
        if failures.get(sight.colour) != str(error):
            output.say(f"Traffic stays as it is: {error}")
        failures[sight.colour] = str(error)
        return
    failures.pop(sight.colour, None)
    if done:
        output.say(done)
