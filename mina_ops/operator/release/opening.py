"""Open a release: which colour takes it, its lock, its journal, and who is told."""

from __future__ import annotations

import threading
from pathlib import Path

from mina_ops.errors import ConfigurationError
from mina_ops.operator.config.colours import Colour
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.notify import channels as notify
from mina_ops.operator.release import freeze
from mina_ops.operator.release import plan as plans
from mina_ops.operator.release.control import Control
from mina_ops.operator.release.journal import Journal, latest
from mina_ops.operator.release.lock import ReleaseLock
from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.plan import Choices
from mina_ops.operator.release.release import (
    Record,
    Release,
    Site,
    Surroundings,
    Target,
    Tell,
)
from mina_ops.operator.system.people import whoami
from mina_ops.operator.traffic.base import TrafficDriver
from mina_ops.operator.traffic.site_lock import Places


def target(settings: OperatorSettings, driver: TrafficDriver, name: str | None) -> Colour:
    """The colour to release to: the named one, else the one without traffic.

    Raises:
        ConfigurationError: it is unknown, it has traffic, or both colours have some.
        TrafficError: the load balancer does not say what it does.
    """
    split = driver.read().split
    idle = [colour for colour in settings.colours.values() if not split.serves(colour.name)]
    if name is not None:
        chosen = settings.colour(name)
        if chosen not in idle:
            raise ConfigurationError(
                f"{chosen.name} has traffic ({split.describe()}); release to an idle colour."
            )
        return chosen
    if len(idle) != 1:
        raise ConfigurationError(
            f"Both colours have traffic ({split.describe()}). Finish or abort what is going on, "
            "or send everything to one colour with `mina-ops switch FROM TO --instant`."
        )
    return idle[0]


def locked(site: Site, purpose: str, *, folder: Path, take_over: bool = False) -> ReleaseLock:
    """The lock of the folder and of the site, to be entered; `folder` is the plan's."""
    places = Places(site.settings, site.driver)
    return ReleaseLock(folder, purpose, places=places, take_over=take_over)


def begin(site: Site, version: str, new: Colour, choices: Choices | None = None) -> Release:
    """A new release, with its journal begun. Call it with the lock held.

    Raises:
        ConfigurationError: the newest release has not ended, or a channel cannot be used.
        Locked: releases are frozen.
    """
    settings = site.settings
    chosen = choices or Choices()
    plan = plans.read(settings, chosen)
    freeze.require_none(settings, plan.folder)
    if unfinished := _unfinished(plan):
        raise ConfigurationError(
            f"Release {unfinished} has not ended: `mina-ops release resume` or `abort` it first."
        )
    # Before the journal is begun: what cannot be told must not leave an unfinished release.
    notifier = notify.from_table(settings.section("notify"))
    target = Target(version, new, settings.other(new.name))
    journal = Journal.create(plan.folder, version)
    release = Release(
        target, site, plan, Record(journal, Control(journal.folder)), Surroundings(teller(notifier))
    )
    release.control.prepare()
    note_target(release, chosen)
    return release


def note_target(release: Release, choices: Choices | None = None) -> None:
    """Write down which release a journal is about, and what whoever goes on with it needs."""
    colours = {"from": release.old.name, "to": release.new.name}
    chosen = (choices or Choices()).to_json()
    release.note(Phase.CHECKS, version=release.version, who=whoami(), chosen=chosen, **colours)


def reopen(site: Site, journal: Journal, plan: plans.Plan, tell: Tell) -> Release:
    """A release whose controller ended, with what was chosen when it was started.

    Args:
        plan: the file's as it is now, so that a wrong plan can be mended before it is resumed.

    Raises:
        ConfigurationError: its journal does not say which release it is.
    """
    detail = journal.progress().detail
    try:
        version, new = str(detail["version"]), site.settings.colour(str(detail["to"]))
    except KeyError as exc:
        raise ConfigurationError(f"{journal.path} does not name its release.") from exc
    target = Target(version, new, site.settings.other(new.name))
    record = Record(journal, Control(journal.folder))
    chosen = Choices.from_json(detail.get("chosen", {}))
    release = Release(target, site, chosen.applied(plan), record, Surroundings(tell))
    release.control.skip_old()
    return release


def _unfinished(plan: plans.Plan) -> str | None:
    journal = latest(plan.folder)
    return None if journal is None or journal.progress().ended else journal.release_id


def teller(notifier: notify.Notifier) -> Tell:
    """Send in a thread of its own: no release waits for people, the process waits for the thread.

    It does so for at most the deadline of `[notify]`.
    """

    def tell(event: str, text: str) -> None:
        threading.Thread(target=notifier.send, args=(event, text), name="mina_ops-notify").start()

    return tell
