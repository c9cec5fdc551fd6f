"""`mina-ops logs`: the logs of the load balancer and of the app's processes, in one stream."""

from __future__ import annotations

import click

from mina_ops.cli import output
from mina_ops.cli.session import Session


@click.command(name="logs")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--follow/--no-follow", "-f", default=True, help="Go on until Ctrl-C (default).")
@click.option("--lines", "-n", type=click.IntRange(0, 10_000), default=10, help="Of each log.")
@click.option("--list", "listed", is_flag=True, help="Say which logs are known; read none.")
@output.json_option
@click.pass_obj
def command(
    session: Session, names: tuple[str, ...], follow: bool, lines: int, listed: bool
) -> None:
    """Follow the logs that are known, each line with its source before it.

    Known are the load balancer's access log (traffic.nginx.access_log), and, where systemd runs
    the units of `mina-ops init`, the journal of each colour. NAMES choose among them. With --json,
    each line is an object.
    """
    from mina_ops.operator.logs import following

    sources = following.sources(session.settings)
    if listed:
        text = "\n".join(f"{name:<12} {' '.join(argv)}" for name, argv in sources.items())
        output.data({"logs": sources}, text)
        return
    chosen = following.choose(sources, names)
    for name, line in following.stream(chosen, lines=lines, follow=follow):
        output.data({"log": name, "line": line}, f"{name:<12} {line}")
