"""Open a release: which colour takes it, its lock, its journal, and who is told."""

from __future__ import annotations

import threading

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
from mina_ops.operator.release.world import Tell, World
from mina_ops.operator.traffic.base import TrafficDriver


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


def locked(settings: OperatorSettings, purpose: str) -> ReleaseLock:
    """The lock of all releases of these settings, to be entered."""
    return ReleaseLock(plans.read(settings).folder, purpose)


def begin(settings: OperatorSettings, driver: TrafficDriver, version: str, new: Colour) -> World:
    """A new release's world, with its journal begun. Call it with the lock held.

    Raises:
        ConfigurationError: the newest release has not ended.
        Locked: releases are frozen.
    """
    plan = plans.read(settings)
    freeze.require_none(plan.folder)
    if unfinished := _unfinished(plan):
        raise ConfigurationError(
            f"Release {unfinished} has not ended: `mina-ops release resume` or `abort` it first."
        )
    old = settings.other(new.name)
    journal = Journal.create(plan.folder, version)
    journal.write("note", Phase.CHECKS, version=version, **{"from": old.name, "to": new.name})
    world = _world(settings, driver, plan, journal, version, new)
    world.control.prepare()
    return world


def reopen(settings: OperatorSettings, driver: TrafficDriver, journal: Journal) -> World:
    """The world of a release whose controller ended.

    Raises:
        ConfigurationError: its journal does not say which release it is.
    """
    detail = journal.progress().detail
    try:
        version, new = str(detail["version"]), settings.colour(str(detail["to"]))
    except KeyError as exc:
        raise ConfigurationError(f"{journal.path} does not name its release.") from exc
    world = _world(settings, driver, plans.read(settings), journal, version, new)
    world.control.skip_old()
    return world


def _world(
    settings: OperatorSettings,
    driver: TrafficDriver,
    plan: plans.Plan,
    journal: Journal,
    version: str,
    new: Colour,
) -> World:
    return World(
        settings=settings,
        driver=driver,
        plan=plan,
        journal=journal,
        control=Control(journal.folder),
        version=version,
        new=new,
        old=settings.other(new.name),
        tell=_tell(settings),
    )


def _unfinished(plan: plans.Plan) -> str | None:
    journal = latest(plan.folder)
    return None if journal is None or journal.progress().ended else journal.release_id


def _tell(settings: OperatorSettings) -> Tell:
    """Send in a thread of its own: no release waits for people, the process waits for the thread.

    It does so for at most the deadline of `[notify]`.
    """
    notifier = notify.from_table(settings.section("notify"))

    def tell(event: str, text: str) -> None:
        threading.Thread(target=notifier.send, args=(event, text), name="mina_ops-notify").start()

    return tell
