"""`mina-ops demo`: the whole product in one command, on this machine."""

from __future__ import annotations

import os

import click

from mina_ops.demo.servers import GREEN_WORKERS


@click.command(name="demo")
@click.option("--keep", is_flag=True, help="Leave it running afterwards, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Only the result on standard output.")
@click.option(
    "--clients",
    default=220,
    show_default=True,
    type=click.IntRange(1, 2000),
    help="Clients that stream audio.",
)
@click.option(
    "--requests-per-second",
    default=120.0,
    show_default=True,
    type=click.FloatRange(1, 2000),
    help="HTTP requests beside them.",
)
@click.option(
    "--seconds-scale",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.02, 10),
    help="Factor on how long each part takes.",
)
@click.option(
    "--worker",
    default=GREEN_WORKERS[0],
    show_default=True,
    type=click.Choice(GREEN_WORKERS),
    help="gunicorn's kind of worker; eventlet needs gunicorn < 26.",
)
@click.option(
    "--second-act/--no-second-act",
    default=True,
    show_default=True,
    help="Bad releases that are taken back by themselves.",
)
@click.option(
    "--colours/--no-colours", default=None, help="A live picture; default: on a terminal."
)
def command(
    keep: bool,
    as_json: bool,
    clients: int,
    requests_per_second: float,
    seconds_scale: float,
    worker: str,
    second_act: bool,
    colours: bool | None,
) -> None:
    """Play a whole release on this machine: blue to green, back, and forward again.

    Starts Redis, nginx, and two instances of a small app for each colour on free ports, sends
    requests and audio streams through all of it, and plays the playbook. The last line is a
    JSON object. Exits 0 only if no request failed and no chunk was lost. Needs no root; Ctrl-C
    ends everything that it started.
    """
    from mina_ops.demo.performance import perform
    from mina_ops.demo.play import Script
    from mina_ops.operator.system import patience

    # The crowd and all servers share this machine with whoever asks them.
    os.environ.setdefault(patience.VARIABLE, "5")
    script = Script(
        clients, requests_per_second, seconds_scale, second_act=second_act, worker=worker
    )
    code = perform(script, keep=keep, only_result=as_json, live=colours)
    click.get_current_context().exit(code)
