"""`mina-ops recover`: both colours are down; back from the newest backup and the last release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mina_ops.cli import output
from mina_ops.cli.session import Session
from mina_ops.operator.system.signals import unwinding

if TYPE_CHECKING:
    from mina_ops.operator.checklist.recovery import Begun, Recovery


@click.command(name="recover")
@click.option("--yes", is_flag=True, help="Do not ask before each step.")
@click.option("--colour", help="Bring this one back; default: the one of the last release.")
@click.option("--version", help="Start this release; default: the last one that was done.")
@click.option(
    "--backup",
    "file",
    type=click.Path(path_type=Path, exists=True),
    help="Restore this one; default: the newest that was proven.",
)
@click.option("--anew", is_flag=True, help="Give an interrupted recovery up; begin with step 1.")
@click.option("--force", is_flag=True, help="Although a colour is alive.")
@click.option(
    "--timeout",
    type=click.FloatRange(1),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the colour may take to be ready.",
)
@output.dry_run_option
@output.json_option
@click.pass_obj
def command(
    session: Session,
    yes: bool,
    colour: str | None,
    version: str | None,
    file: Path | None,
    anew: bool,
    force: bool,
    timeout: float,
    dry_run: bool,
) -> None:
    """Come back from a total failure, step by step, each confirmed.

    The newest proven backup goes into the database of RESTORE_DATABASE_URL; the colour is
    started on it by release.hooks.start (which gets DATABASE_URL), and takes all traffic when it
    is ready. A run that was stopped goes on with the first step that is not done.
    """
    from mina_ops.errors import ConfigurationError
    from mina_ops.operator.checklist import recovery

    alive = recovery.healthy_colours(session.settings)
    begun = None if anew else recovery.begun(session.settings)
    if alive and not force and begun is None:
        raise ConfigurationError(
            f"{' and '.join(alive)} is alive: `mina-ops switch` or `mina-ops rollback` brings the "
            "site back without losing data. --force recovers all the same."
        )
    if begun is not None:
        _require_same(begun, colour, version, file)
        colour, version, file = begun.colour, begun.version, begun.backup
    plan = _plan(session, colour, version, file, timeout)
    steps = [step.sentence for step in plan.steps()]
    if dry_run:
        text = "\n".join(f"{number}. {sentence}" for number, sentence in enumerate(steps, 1))
        output.data({"dry_run": True, "steps": steps}, text)
        return
    if anew:
        recovery.forget(session.settings)
    with unwinding():
        recovery.play(
            plan,
            lambda step: yes or click.confirm(f"{step.sentence}?", err=True),
            lambda step, came: output.say(f"{step.sentence}: {came}"),
        )
    value = {"recovered": True, "colour": plan.colour, "version": plan.version}
    output.data(value, f"{plan.colour} serves {plan.version} again.")


def _require_same(begun: Begun, colour: str | None, version: str | None, file: Path | None) -> None:
    from mina_ops.errors import ConfigurationError

    asked = (colour, version, file.resolve() if file else None)
    if any(
        wanted not in (None, had)
        for wanted, had in zip(asked, (begun.colour, begun.version, begun.backup), strict=True)
    ):
        raise ConfigurationError(
            f"A recovery of {begun.colour} with {begun.version} from {begun.backup.name} goes on. "
            "Leave the options out to go on, or begin --anew."
        )


def _plan(
    session: Session, colour: str | None, version: str | None, file: Path | None, timeout: float
) -> Recovery:
    from mina_ops.errors import ConfigurationError
    from mina_ops.operator.checklist import recovery
    from mina_ops.operator.config import incident as incident_options
    from mina_ops.operator.database.connection.options import DatabaseOptions
    from mina_ops.operator.notify import channels as notify

    settings = session.settings
    database = settings.section("database").fill(DatabaseOptions)
    released = recovery.released(settings)
    if released is None and version is None:
        raise ConfigurationError("No release was done here; give --version.")
    default = released.new if released else next(iter(settings.colours))
    return recovery.Recovery(
        settings,
        session.driver,
        database,
        incident_options.read(settings.section("incident")),
        notify.from_table(settings.section("notify")),
        settings.colour(colour or default).name,
        version or (released.version if released else ""),
        (file or recovery.newest_backup(database)).resolve(),
        timeout,
    )
