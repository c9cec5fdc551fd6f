"""Finds what a rollback takes back; needs the load balancer, and nothing else that may be broken.

A typo in the plan, a notify channel without its address, a full disk, a controller that is
stopped or runs on another machine, an app that does not answer: each is told, and none of them
keeps traffic from going back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mina_ops import files
from mina_ops.errors import ConfigurationError, MinaOpsError, OperatorError
from mina_ops.operator.config.colours import Colour
from mina_ops.operator.notify import channels as notify
from mina_ops.operator.release import elsewhere, lock, opening
from mina_ops.operator.release import plan as plans
from mina_ops.operator.release.control import Control
from mina_ops.operator.release.elsewhere import Reported
from mina_ops.operator.release.journal import Journal, history
from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.release import (
    Record,
    Release,
    Site,
    Surroundings,
    Target,
    Tell,
)
from mina_ops.operator.release.rollback import NotRolledBack

REACTS_SECONDS = 15.0
"""A controller takes an abort within a second, or after the requests of one look."""

BY_HAND = "by-hand"
"""The version in the journal of a rollback without a release, as `rollback --to blue`."""

_POLL_SECONDS = 0.2

Say = Callable[[str], None]


class Taken(StrEnum):
    """How a running controller reacted to an abort."""

    BY_CONTROLLER = "by_controller"
    """It took it, and ended."""
    NOT_HEARD = "not_heard"
    """It is stopped, dead or stuck, so this command takes the release back itself."""


@dataclass(frozen=True)
class Wish:
    """What is wanted: why, whether a release that is done counts, and what is overridden."""

    why: str = ""
    done_too: bool = False
    force: bool = False
    to: str | None = None


def lenient_plan(site: Site, say: Say) -> plans.Plan:
    """The plan; its defaults where it cannot be read, but for the folder."""
    try:
        return plans.read(site.settings)
    except ConfigurationError as error:
        say(f"{error} The way back goes on with the plan's defaults.")
        return plans.Plan(folder=lock.folder_of(site.settings))


def lenient_teller(site: Site, say: Say) -> Tell:
    """Tells people by the channels that can be used; says which cannot."""
    try:
        notifier, problems = notify.usable(site.settings.section("notify"))
    except ConfigurationError as error:
        notifier, problems = notify.Notifier(), [str(error)]
    for problem in problems:
        say(f"{problem} Nobody is told that way.")
    return opening.teller(notifier)


def which(site: Site, folder: Path, wish: Wish) -> Colour | Journal | Reported | None:
    """What a wish takes back; the command and its dry run both go by this.

    A colour: everybody goes to it, whatever was released. A journal: the release of this folder
    that `find` found. A report: the newest release of another machine. None: there is nothing.

    Raises:
        ConfigurationError: there is no colour of that name.
    """
    if wish.to is not None:
        return site.settings.colour(wish.to)
    journal = find(site, folder, wish)
    if journal is not None:
        return journal
    found = elsewhere.newest(site.settings)
    if found is not None and found.may_be_taken_back(done_too=wish.done_too):
        return found
    return None


def find(site: Site, folder: Path, wish: Wish) -> Journal | None:
    """The release to take back: one that has not ended, else the last that has the traffic.

    One that failed or was taken back already changes nothing, so the one before it counts.
    """
    for journal in history(folder):
        try:
            progress = journal.progress()
        except OperatorError:
            # Damaged; the others may still be read.
            continue
        if not progress.ended and progress.phase is not Phase.DONE:
            return journal
        if progress.phase is Phase.DONE and not wish.done_too:
            return None if progress.finished else journal
        if progress.phase is Phase.DONE and _has_traffic(site, str(progress.detail.get("to"))):
            return journal
    return None


def _has_traffic(site: Site, colour: str) -> bool:
    try:
        return site.driver.read_reachable().split.serves(colour)
    except MinaOpsError:
        # Nobody can tell; going back is what was asked for.
        return True


def ask_controller(folder: Path, journal: Journal, why: str, say: Say) -> Taken:
    """Ask a controller on this machine to take its release back, and wait until it has.

    Returns at once when it is stopped, and after `REACTS_SECONDS` when it does not react.
    """
    owner = lock.owner(folder)
    if lock.is_stopped(owner):
        say(f"Its controller, process {(owner or {}).get('pid')}, is stopped; taking over.")
        return Taken.NOT_HEARD
    asked_at = time.time()
    try:
        Control(journal.folder).ask("abort", why)
    except OperatorError as error:
        say(f"{error} Its controller cannot be asked; taking over.")
        return Taken.NOT_HEARD
    say("Asked the controller to take the release back; waiting for it.")
    deadline = time.monotonic() + REACTS_SECONDS
    while lock.is_held(folder):
        reacted = _reacted(journal, asked_at)
        if not reacted and (time.monotonic() > deadline or lock.is_stopped(owner)):
            say(f"It did not react within {REACTS_SECONDS:g} s; taking over.")
            return Taken.NOT_HEARD
        time.sleep(_POLL_SECONDS)
    return Taken.BY_CONTROLLER


def _reacted(journal: Journal, since: float) -> bool:
    try:
        entries = journal.entries()
    except OperatorError:
        return False
    backwards = (Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.FAILED)
    return any(entry.phase in backwards and entry.at >= since - 1 for entry in entries)


def require_same_version(release: Release, wish: Wish, say: Say) -> None:
    """Say which version traffic goes back to; refuse one that the old colour did not run before.

    Raises:
        NotRolledBack: it runs another version, and this is not forced.
    """
    ran = release.journal.progress().detail.get("old_version")
    try:
        runs = release.old_app.health().version
    except MinaOpsError:
        return
    say(f"Going back to {release.old.name}, which runs {runs}.")
    if ran is not None and runs != ran and not wish.force:
        raise NotRolledBack(
            f"{release.old.name} runs {runs}, and ran {ran} before {release.version}. Traffic is "
            f"where it was. Deploy {ran} on it, or add --force to go to {runs}."
        )


def to_colour(site: Site, old: Colour, plan: plans.Plan, tell: Tell) -> Release:
    """A release that is only its way back to a colour, where no journal tells of one."""
    new = site.settings.other(old.name)
    return _without_journal(site, Target(BY_HAND, new, old), plan, tell)


def reported(site: Site, found: Reported, plan: plans.Plan, tell: Tell) -> Release:
    """A release that began on another machine, to be taken back from here.

    Raises:
        ConfigurationError: it is about colours that this file does not have.
    """
    new = site.settings.colour(found.new)
    target = Target(found.version, new, site.settings.other(new.name))
    return _without_journal(site, target, plan, tell)


def _without_journal(site: Site, target: Target, plan: plans.Plan, tell: Tell) -> Release:
    try:
        journal = Journal.create(plan.folder, target.version)
    except files.NotWritten:
        journal = Journal(plan.folder / "not-written")
    record = Record(journal, Control(journal.folder))
    release = Release(target, site, plan, record, Surroundings(tell))
    with suppress(files.NotWritten):
        opening.note_target(release)
    return release
