"""`mina-ops doctor`: compares the whole site with what mina-ops.toml says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from mina_ops.cli import output
from mina_ops.cli.session import Session

if TYPE_CHECKING:
    from mina_ops.operator.config.settings import OperatorSettings
    from mina_ops.operator.doctor.findings import Finding

_FILE = "file"
_AREAS = (_FILE, "app", "sockets", "stores", "balancer", "releases")


@click.command(name="doctor")
@click.argument("areas", nargs=-1, type=click.Choice(_AREAS), metavar="[AREA]...")
@click.option("--send", is_flag=True, help="Send a test message over every channel.")
@output.json_option
@click.pass_obj
def command(session: Session, areas: tuple[str, ...], send: bool) -> None:
    """Look at the whole site and say what is wrong, and what to type. Changes nothing.

    AREAS are file, app, sockets, stores, balancer and releases; all by default. Redis and the
    database are asked from here if REDIS_URL and DATABASE_URL are set. Exits 0 if there is no fault
    (warnings are none), 11 if there is one, 2 if mina-ops.toml cannot be read at all.
    """
    from mina_ops.operator.database.connection.errors import FaultsFound
    from mina_ops.operator.doctor.findings import State, summary

    found = []
    for finding in _findings(session.settings, areas or _AREAS, send=send):
        found.append(finding)
        if not output.is_json():
            click.echo(output.plain(finding.line()))
    faults = sum(finding.state is State.FAULT for finding in found)
    value = {
        "file": str(session.settings.file),
        "faults": faults,
        "findings": [finding.to_json() for finding in found],
    }
    output.data(value, summary(found))
    if faults:
        raise FaultsFound(f"{faults} fault(s) to mend; each says what to type.")


def _findings(
    settings: OperatorSettings, areas: tuple[str, ...], *, send: bool
) -> Iterator[Finding]:
    from mina_ops.operator.doctor import examine, releases

    if _FILE in areas:
        yield from _file(settings)
    yield from examine.examine(settings, areas)
    if send:
        yield from releases.send_test(settings)


def _file(settings: OperatorSettings) -> Iterator[Finding]:
    from mina_ops.cli.config import problems
    from mina_ops.operator.doctor.findings import fault, ok

    wrong = problems(settings)
    for problem in wrong:
        yield fault(_FILE, problem, "mina-ops config keys TABLE")
    if not wrong:
        yield ok(_FILE, f"{settings.file} can be read whole")
