"""`mina-ops drain`: live sessions of a colour move to the other one."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from mina_ops.cli import output
from mina_ops.cli.session import Session
from mina_ops.errors import AccessDenied, DrainTimedOut, OperatorError

if TYPE_CHECKING:
    from mina_ops.operator.api.answers import DrainStatus
    from mina_ops.operator.api.client import AppClient


@click.command(name="drain")
@click.argument("colour")
@click.option("--wait", is_flag=True, help="Until nobody is left; shows the count falling.")
@click.option(
    "--grace",
    type=click.FloatRange(0, 86400),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long sessions may take to leave.",
)
@click.option("--cancel", is_flag=True, help="Take the order back; the colour serves again.")
@click.option("--force", is_flag=True, help="Even while the other colour drains.")
@output.dry_run_option
@output.json_option
@click.pass_obj
def command(
    session: Session,
    colour: str,
    wait: bool,
    grace: float,
    cancel: bool,
    force: bool,
    dry_run: bool,
) -> None:
    """Close COLOUR's live sessions spread over the grace, so that clients reconnect elsewhere.

    New handshakes are refused and passed on to the other colour. Needs an admin's token.
    Exits 9 if sessions had to be cut, 10 if some are still open after grace and margin.
    """
    if cancel and wait:
        raise click.UsageError("Give --wait or --cancel, not both.")
    if cancel:
        # A way back: what is wrong in another table must not keep a colour from serving again.
        session = session.for_the_way_back(output.say)
    name = session.settings.colour(colour).name
    if dry_run:
        action = "DELETE" if cancel else "POST"
        line = f"{action} {session.settings.colour(colour).url}/admin/drain"
        output.data({"dry_run": True, "colour": name, "request": line}, line)
        return
    with session.client(colour) as client:
        if cancel:
            status = _cancel(client)
        else:
            status = _begin(client, grace, force)
            if wait:
                status = _wait(session, client, grace)
        told = {"state": status.state, "requests_at_balancer": status.requests_at_balancer}
        text = _sentence(name, status)
        output.data({"colour": name, **status.body, **told}, text)
        if wait:
            from mina_ops.operator.api.draining import judge

            judge(client, status)


def _cancel(client: AppClient) -> DrainStatus:
    try:
        return client.cancel_drain()
    except OperatorError as error:
        raise type(error)(
            f"{error} Then again: `mina-ops drain {client.name} --cancel`."
        ) from error


def _begin(client: AppClient, grace: float, force: bool) -> DrainStatus:
    try:
        return client.begin_drain(grace, force=force)
    except AccessDenied as error:
        raise AccessDenied(
            f"{error} Or log in to {client.url}/api/auth/login as an admin and send its cookie "
            f"with `curl -X POST {client.url}/admin/drain`; an app without that route gets it by "
            "the setting MINA_OPS_LOGIN."
        ) from error


def _sentence(name: str, status: DrainStatus) -> str:
    count = status.active_connections
    live = "" if count is None else f", {count} live connections"
    count = status.requests_at_balancer
    sent = f", {count} requests in flight at the load balancer" if count else ""
    return f"{name} is {status.state}{live}{sent}{_arrivals(status)}"


def _arrivals(status: DrainStatus) -> str:
    if status.state != "drained" or not status.sent_away:
        return ""
    text = f"; of {status.sent_away} sent away {status.arrived} have arrived at the other colour"
    if not status.on_their_way:
        return text
    return f"{text}, not yet: {', '.join(status.not_arrived[:5])}"


def _wait(session: Session, client: AppClient, grace: float) -> DrainStatus:
    from mina_ops.operator.api.draining import follow

    # Its settings are read when it is asked: a drain needs no load balancer.
    statuses = follow(client, grace, at_balancer=lambda name: session.driver.long_requests(name))
    last = _show_live(client, statuses) if sys.stderr.isatty() else _show_lines(client, statuses)
    if last is None:
        raise DrainTimedOut(f"{client.name} told nothing about its drain; run `mina-ops status`.")
    return last


def _show_lines(client: AppClient, statuses: Iterable[DrainStatus]) -> DrainStatus | None:
    """One line for each count that is new, as the playbook's 247, 156, 78, 23, 5, 0."""
    last: DrainStatus | None = None
    before: tuple[int | None, int] | None = None
    for status in statuses:
        counts = status.active_connections, status.requests_at_balancer or 0
        if counts != before:
            output.say(_sentence(client.name, status))
        last, before = status, counts
    return last


def _show_live(client: AppClient, statuses: Iterable[DrainStatus]) -> DrainStatus | None:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    last: DrainStatus | None = None
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(client.name, total=None)
        most = 0
        for last in statuses:
            left = last.active_connections or 0
            most = max(most, left, last.initial or 0)
            progress.update(
                task,
                total=most or 1,
                completed=most - left or int(last.state == "drained"),
                description=_sentence(client.name, last),
            )
    return last
