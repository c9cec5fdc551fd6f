"""`mina-ops release`: start, watch, steer and take back a release."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from mina_ops.cli import output
from mina_ops.cli.release_flags import restore_flags
from mina_ops.cli.release_summary import iso, summary, summary_or_damage
from mina_ops.cli.session import Session
from mina_ops.cli.taking_back import show_take_back, take_back
from mina_ops.errors import AppUnhealthy, ConfigurationError, MinaOpsError

if TYPE_CHECKING:
    from mina_ops.operator.release.journal import Journal
    from mina_ops.operator.release.release import Release

_INTERRUPTED = 130
"""What a shell calls a command that Ctrl-C ended."""


@click.group(name="release")
def command() -> None:
    """Release a version: checks to smoke, shadow, switch, drain, watch.

    The plan is `[release]` of mina-ops.toml. A bad release is taken back by itself (exit code 5).
    A controller that was killed is continued with `resume`, or given up with `abort`.
    """


@command.command()
@click.argument("version")
@click.option("--to", "target", metavar="COLOUR", help="Default: the colour without traffic.")
@click.option("--hotfix", is_flag=True, help="One ready process of the old colour is enough.")
@click.option(
    "--load",
    type=click.FloatRange(0, 100),
    metavar="NUMBER",
    help="Send this many requests a second to each colour; default: [release.load].",
)
@click.option(
    "--shadow",
    type=click.FloatRange(0, 86_400),
    metavar="SECONDS",
    help="Mirror GETs to the new colour this long before it has visitors; default: [release].",
)
@output.dry_run_option
@output.json_option
@click.pass_obj
def start(
    session: Session,
    version: str,
    target: str | None,
    hotfix: bool,
    load: float | None,
    shadow: float | None,
    dry_run: bool,
) -> None:
    """Release VERSION and stay until it is done or taken back."""
    from mina_ops.operator.release import opening, plan, runner
    from mina_ops.operator.release.plan import Choices
    from mina_ops.operator.release.preview import describe
    from mina_ops.operator.release.release import Site

    site, choices = Site(session.settings, session.driver), Choices(hotfix, load, shadow)
    if dry_run:
        colour = opening.target(session.settings, session.driver, target)
        lines = describe(site, version, colour, choices)
        output.data({"dry_run": True, "plan": lines}, "\n".join(lines))
        return
    folder = plan.read(session.settings, choices).folder
    with opening.locked(site, f"release {version}", folder=folder) as held:
        colour = opening.target(session.settings, session.driver, target)
        release = opening.begin(site, version, colour, choices)
        release.surroundings.still_ours = held.require_held
        _play(release, runner.run)


@command.command()
@output.json_option
@click.pass_obj
def resume(session: Session) -> None:
    """Go on with a paused release, or with one whose controller was killed."""
    from mina_ops.operator.notify import channels
    from mina_ops.operator.release import lock, opening, runner
    from mina_ops.operator.release import plan as plans
    from mina_ops.operator.release.release import Site

    plan = plans.read(session.settings)
    journal = _newest(session)
    if lock.is_held(plan.folder):
        _ask(session, "resume", "")
        return
    purpose = f"release {journal.release_id}"
    site = Site(session.settings, session.driver)
    with opening.locked(site, purpose, folder=plan.folder) as held:
        tell = opening.teller(channels.from_table(session.settings.section("notify")))
        release = opening.reopen(site, journal, plan, tell)
        release.surroundings.still_ours = held.require_held
        _play(release, runner.resume)


@command.command()
@click.option("--why", default="", help="Said to people and kept in the journal.")
@output.dry_run_option
@output.json_option
@click.pass_obj
def abort(session: Session, why: str, dry_run: bool) -> None:
    """Take the running release back at once. Aborting when nothing runs does nothing.

    Its controller is asked and waited for; one that is stopped, dead or stuck is replaced. Exits 0
    when traffic is back, 7 when it could not be brought back.
    """
    from mina_ops.operator.release.way_back import Wish

    if dry_run:
        show_take_back(session, Wish(why=why))
    else:
        take_back(session, Wish(why=why))


@command.command()
@click.option("--why", default="", help="Kept in the journal.")
@output.json_option
@click.pass_obj
def pause(session: Session, why: str) -> None:
    """Hold the release at its share until it is resumed, promoted or aborted."""
    _ask(session, "pause", why)


@command.command()
@click.option("--why", default="", help="Kept in the journal.")
@output.json_option
@click.pass_obj
def promote(session: Session, why: str) -> None:
    """End the wait at the present share, or approve the phase that waits for it."""
    _ask(session, "promote", why)


@command.command()
@click.option("--why", default="", help="Shown to whoever tries to start a release.")
@output.json_option
@click.pass_obj
def freeze(session: Session, why: str) -> None:
    """Let no release start until `unfreeze`. A running one goes on; rollback works."""
    from mina_ops.operator.release import freeze as freezing
    from mina_ops.operator.release import plan

    folder = plan.read(session.settings).folder
    made, told = freezing.freeze_everywhere(session.settings, folder, why)
    value = {"frozen": True, "who": made.who, "why": made.why, "app_told": told}
    output.data(value, _freeze_text(made.describe(), told))


@command.command()
@output.json_option
@click.pass_obj
def unfreeze(session: Session) -> None:
    """Let releases start again."""
    from mina_ops.operator.release import freeze as freezing
    from mina_ops.operator.release import plan

    folder = plan.read(session.settings).folder
    lifted, told = freezing.lift_everywhere(session.settings, folder)
    text = "Releases can start again." if lifted else "Releases were not frozen."
    value = {"frozen": False, "lifted": lifted, "app_told": told}
    output.data(value, _freeze_text(text, told))


def _freeze_text(text: str, told: bool) -> str:
    return text if told else f"{text} No colour could be told: it holds for this machine alone."


@command.command()
@click.option(
    "--watch", is_flag=True, help="Until the release has ended; with --json, an object a second."
)
@output.json_option
@click.pass_obj
def status(session: Session, watch: bool) -> None:
    """Where the newest release stands, why, and who runs it; also one of another machine."""
    from mina_ops.cli.release_state import state, text

    if watch:
        from mina_ops.cli import release_watch

        release_watch.watch(lambda: state(session))
        return
    value = state(session)
    if value is None:
        raise ConfigurationError("No release yet; begin with `mina-ops release start VERSION`.")
    output.data(value, text(value))


@command.command()
@click.argument("release_id", metavar="[ID]", required=False)
@click.option("--steps", is_flag=True, help="Also every request that it set out to make.")
@output.json_option
@click.pass_obj
def show(session: Session, release_id: str | None, steps: bool) -> None:
    """Tell one release as a story: every phase, share, verdict, command, and who.

    ID is that of `release history`; a version means its newest release. Default: the newest.
    """
    from mina_ops.cli import release_story
    from mina_ops.operator.release import journal as journals
    from mina_ops.operator.release import plan

    named = journals.named(plan.read(session.settings).folder, release_id)
    entries = named.entries()
    story = [release_story.head(entries), *release_story.lines(entries, steps=steps)]
    listed = [{"at": iso(e.at), "event": e.event, "phase": e.phase, **e.detail} for e in entries]
    value = {**summary(named), "entries": listed}
    output.data(value, "\n".join(story))


@command.command()
@output.limit_option
@output.json_option
@click.pass_obj
def history(session: Session, limit: int) -> None:
    """The releases so far, the newest first."""
    from mina_ops.operator.release import journal as journals
    from mina_ops.operator.release import plan

    found = [
        summary_or_damage(j) for j in journals.history(plan.read(session.settings).folder)[:limit]
    ]
    rows = [
        (str(one["release"]), str(one["phase"]), str(one["to"]), "; ".join(one["reasons"]))
        for one in found
    ]
    output.data({"releases": found}, output.table(("RELEASE", "PHASE", "TO", "WHY"), rows))


def _play(release: Release, act: Callable[[Release], None]) -> None:
    from mina_ops.cli.release_view import showing

    try:
        with showing(release):
            act(release)
    except MinaOpsError:
        if output.is_json():
            output.data(summary_or_damage(release.journal), "")
        raise
    except KeyboardInterrupt:
        found = release.journal.progress()
        output.say(
            f"Interrupted in {found.phase}: {found.percent} % on {release.new.name}, and nobody "
            "watches it. `mina-ops release resume` goes on, `mina-ops release abort` takes it back."
        )
        raise SystemExit(_INTERRUPTED) from None
    finally:
        release.close()
    value = summary(release.journal)
    text = f"{release.version} is on {release.new.name} with all traffic."
    output.data(value, text)


def _ask(session: Session, kind: str, why: str) -> None:
    from mina_ops.operator.release import elsewhere, lock
    from mina_ops.operator.release.control import Control

    journal = _latest(session)
    if journal is not None and lock.is_held(journal.folder.parent):
        Control(journal.folder).ask(kind, why)
        who = "the running release"
    else:
        found = elsewhere.newest(session.settings)
        if found is None or not found.is_alive:
            newest = "" if journal is None else f"; the newest is {journal.release_id}"
            raise ConfigurationError(f"No release is running{newest}.")
        if not elsewhere.ask(session.settings, found.id, kind, why):
            raise AppUnhealthy(f"The app took no order for {found.id}, which {found.who} runs.")
        who = f"{found.id}, which {found.who} runs,"
    output.data({"asked": kind}, f"Asked {who} to {kind}.")


def _newest(session: Session) -> Journal:
    found = _latest(session)
    if found is None:
        raise ConfigurationError("No release yet; begin with `mina-ops release start VERSION`.")
    return found


def _latest(session: Session) -> Journal | None:
    from mina_ops.operator.release import journal as journals
    from mina_ops.operator.release import plan

    return journals.latest(plan.read(session.settings).folder)


command.add_command(restore_flags)
