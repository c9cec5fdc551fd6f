"""`mina-ops release`: start, watch, steer and take back a release."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from mina_ops.cli import output
from mina_ops.cli.session import Session
from mina_ops.errors import ConfigurationError, MinaOpsError, OperatorError

if TYPE_CHECKING:
    from mina_ops.operator.release.control import Control
    from mina_ops.operator.release.journal import Journal
    from mina_ops.operator.release.world import World

_INTERRUPTED = 130
"""What a shell calls a command that Ctrl-C ended."""


@click.group(name="release")
def command() -> None:
    """Release a version: checks, backup, migrate, start, health, smoke, switch, drain, watch.

    The plan is `[release]` of mina-ops.toml. A bad release is taken back by itself (exit code 5).
    A controller that was killed is continued with `resume`, or given up with `abort`.
    """


@command.command()
@click.argument("version")
@click.option("--to", "target", metavar="COLOUR", help="Default: the colour without traffic.")
@output.dry_run_option
@output.json_option
@click.pass_obj
def start(session: Session, version: str, target: str | None, dry_run: bool, as_json: bool) -> None:
    """Release VERSION and stay until it is done or taken back."""
    from mina_ops.operator.release import runner, setup
    from mina_ops.operator.release.preview import describe

    if dry_run:
        colour = setup.target(session.settings, session.driver, target)
        lines = describe(session.settings, session.driver, version, colour)
        output.data({"dry_run": True, "plan": lines}, "\n".join(lines), as_json=as_json)
        return
    with setup.locked(session.settings, f"release {version}"):
        colour = setup.target(session.settings, session.driver, target)
        world = setup.begin(session.settings, session.driver, version, colour)
        _play(world, runner.run, as_json)


@command.command()
@output.json_option
@click.pass_obj
def resume(session: Session, as_json: bool) -> None:
    """Go on with a paused release, or with one whose controller was killed."""
    from mina_ops.operator.release import lock, runner, setup

    journal = _newest(session)
    if lock.is_held(journal.folder.parent):
        _ask(session, "resume", "", as_json)
        return
    with setup.locked(session.settings, f"release {journal.release_id}"):
        _play(setup.reopen(session.settings, session.driver, journal), runner.resume, as_json)


@command.command()
@click.option("--why", default="", help="Said to people and kept in the journal.")
@output.json_option
@click.pass_obj
def abort(session: Session, why: str, as_json: bool) -> None:
    """Take the release back at once. Aborting when nothing runs does nothing."""
    take_back(session, why, as_json)


@command.command()
@click.option("--why", default="", help="Kept in the journal.")
@output.json_option
@click.pass_obj
def pause(session: Session, why: str, as_json: bool) -> None:
    """Hold the release at its share until it is resumed, promoted or aborted."""
    _ask(session, "pause", why, as_json)


@command.command()
@click.option("--why", default="", help="Kept in the journal.")
@output.json_option
@click.pass_obj
def promote(session: Session, why: str, as_json: bool) -> None:
    """End the wait at the present share, or approve the phase that waits for it."""
    _ask(session, "promote", why, as_json)


@command.command()
@click.option("--why", default="", help="Shown to whoever tries to start a release.")
@output.json_option
@click.pass_obj
def freeze(session: Session, why: str, as_json: bool) -> None:
    """Let no release start until `unfreeze`. A running one goes on; rollback works."""
    from mina_ops.operator.release import freeze as freezing
    from mina_ops.operator.release import plan

    made = freezing.freeze(plan.read(session.settings).folder, why)
    output.data(
        {"frozen": True, "who": made.who, "why": made.why}, made.describe(), as_json=as_json
    )


@command.command()
@output.json_option
@click.pass_obj
def unfreeze(session: Session, as_json: bool) -> None:
    """Let releases start again."""
    from mina_ops.operator.release import freeze as freezing
    from mina_ops.operator.release import plan

    lifted = freezing.lift(plan.read(session.settings).folder)
    text = "Releases can start again." if lifted else "Releases were not frozen."
    output.data({"frozen": False, "lifted": lifted}, text, as_json=as_json)


@command.command()
@output.json_option
@click.pass_obj
def status(session: Session, as_json: bool) -> None:
    """Where the newest release stands, and who runs it."""
    from mina_ops.operator.release import lock

    journal = _newest(session)
    value = _summary(journal)
    running = lock.is_held(journal.folder.parent)
    value |= {"running": running, "owner": lock.owner(journal.folder.parent) if running else None}
    text = f"{value['release']}: {value['phase']}, {value['percent']} % on {value['to']}"
    if value["reasons"]:
        text += f"\nbecause: {'; '.join(value['reasons'])}"
    if not running and not value["ended"]:
        text += "\nIts controller is gone: `mina-ops release resume` or `mina-ops release abort`."
    output.data(value, text, as_json=as_json)


@command.command()
@click.option("--most", default=20, show_default=True, help="How many, the newest first.")
@output.json_option
@click.pass_obj
def history(session: Session, most: int, as_json: bool) -> None:
    """The releases so far, the newest first."""
    from mina_ops.operator.release import journal as journals
    from mina_ops.operator.release import plan

    found = [
        _summary_or_damage(j) for j in journals.history(plan.read(session.settings).folder)[:most]
    ]
    rows = [
        (str(one["release"]), str(one["phase"]), str(one["to"]), "; ".join(one["reasons"]))
        for one in found
    ]
    output.data(found, output.table(("RELEASE", "PHASE", "TO", "WHY"), rows), as_json=as_json)


def take_back(session: Session, why: str, as_json: bool, *, done_too: bool = False) -> None:
    """Abort the running release, or take back one that nobody runs; `done_too`: a done one."""
    from mina_ops.operator.release import lock, runner, setup
    from mina_ops.operator.release.model import Phase

    journal = _latest(session)
    if journal is None:
        text = "Nothing to abort: there was no release yet."
        output.data({"aborted": False, "reason": text}, text, as_json=as_json)
        return
    if lock.is_held(journal.folder.parent):
        _ask(session, "abort", why, as_json)
        return
    progress = journal.progress()
    if progress.ended and not (done_too and progress.phase is Phase.DONE):
        text = f"Nothing to abort: {journal.release_id} ended ({progress.phase})."
        output.data({"aborted": False, "reason": text}, text, as_json=as_json)
        return
    with setup.locked(session.settings, f"abort {journal.release_id}"):
        world = setup.reopen(session.settings, session.driver, journal)
        _play(world, lambda opened: runner.take_back(opened, why), as_json)


def _play(world: World, act: Callable[[World], None], as_json: bool) -> None:
    from mina_ops.cli.release_view import showing

    try:
        with showing(world):
            act(world)
    except MinaOpsError:
        if as_json:
            output.data(_summary_or_damage(world.journal), "", as_json=True)
        raise
    except KeyboardInterrupt:
        found = world.journal.progress()
        output.say(
            f"Interrupted in {found.phase}: {found.percent} % on {world.new.name}, and nobody "
            "watches it. `mina-ops release resume` goes on, `mina-ops release abort` takes it back."
        )
        raise SystemExit(_INTERRUPTED) from None
    finally:
        world.close()
    value = _summary(world.journal)
    text = f"{world.version} is on {world.new.name} with all traffic."
    output.data(value, text, as_json=as_json)


def _ask(session: Session, kind: str, why: str, as_json: bool) -> None:
    control = _control(session)
    control.ask(kind, why)
    output.data({"asked": kind}, f"Asked the running release to {kind}.", as_json=as_json)


def _control(session: Session) -> Control:
    from mina_ops.operator.release import lock
    from mina_ops.operator.release.control import Control

    journal = _newest(session)
    if not lock.is_held(journal.folder.parent):
        raise ConfigurationError(
            f"No release is running; the newest is {journal.release_id} "
            f"({journal.progress().phase})."
        )
    return Control(journal.folder)


def _newest(session: Session) -> Journal:
    found = _latest(session)
    if found is None:
        raise ConfigurationError("No release yet; begin with `mina-ops release start VERSION`.")
    return found


def _latest(session: Session) -> Journal | None:
    from mina_ops.operator.release import journal as journals
    from mina_ops.operator.release import plan

    return journals.latest(plan.read(session.settings).folder)


def _summary(journal: Journal) -> dict[str, Any]:
    progress = journal.progress()
    entries = journal.entries()
    return {
        "release": journal.release_id,
        "version": progress.detail.get("version"),
        "to": progress.detail.get("to"),
        "from": progress.detail.get("from"),
        "phase": progress.phase,
        "percent": progress.percent,
        "ended": progress.ended,
        "reasons": list(progress.detail.get("reasons", [])),
        "started_at": _iso(entries[0].at) if entries else None,
        "last_entry_at": _iso(entries[-1].at) if entries else None,
    }


def _summary_or_damage(journal: Journal) -> dict[str, Any]:
    try:
        return _summary(journal)
    except OperatorError as error:
        return {"release": journal.release_id, "phase": "?", "to": "?", "reasons": [str(error)]}


def _iso(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
