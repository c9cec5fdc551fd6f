"""Says what a rollback would do, without changing anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mina_ops.errors import ConfigurationError, MinaOpsError, OperatorError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.config.colours import Colour
from mina_ops.operator.release import lock, way_back
from mina_ops.operator.release.elsewhere import Reported
from mina_ops.operator.release.journal import Journal
from mina_ops.operator.release.plan import Plan
from mina_ops.operator.release.release import Site
from mina_ops.operator.release.way_back import Wish
from mina_ops.operator.traffic import gate

# A rollback cancels the old colour's drain, so a drain is no reason against it.
_CALLED_OFF = ("draining", "drained")


@dataclass(frozen=True)
class Foreseen:
    """A way back that was not taken.

    Attributes:
        by: who would take it: "" for the command itself, else the controller that would be asked.
        split: what serves now, in words; or why nobody can tell.
        ran: the version that `old` ran before the release, if that is known.
        runs: what it runs now; None where it does not say.
        problem: why traffic would stay where it is; "" where it would go back.
    """

    version: str
    new: Colour
    old: Colour
    by: str
    split: str
    ran: str | None
    runs: str | None
    problem: str
    drain_seconds: float

    def lines(self) -> list[str]:
        """A sentence for each step, in their order."""
        steps = [f"Traffic now: {self.split}."]
        if self.by:
            steps.append(f"Ask its controller ({self.by}) to do it, and do it if it does not.")
        if self.version != way_back.BY_HAND:
            steps.append(f"Switch the flags off that belong to {self.version}.")
        return [
            *steps,
            f"Call off a drain of {self.old.name}, and wait until it is ready.",
            f"Send everybody to {self.old.name}, which runs {self.runs or 'what it does not say'}.",
            f"Drain {self.new.name} within {self.drain_seconds:g} s, and tell people.",
        ]

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "dry_run": True,
            "version": self.version,
            "from": self.new.name,
            "to": self.old.name,
            "by": self.by or None,
            "split": self.split,
            "ran": self.ran,
            "runs": self.runs,
            "problem": self.problem or None,
            "steps": self.lines(),
        }


def foresee(site: Site, plan: Plan, wish: Wish) -> Foreseen | None:
    """What `wish` would do; None if there is nothing to take back. Asks the old colour.

    Raises:
        ConfigurationError: there is no such colour, or the journal does not name its release.
    """
    found = _which(site, plan, wish)
    if found is None:
        return None
    version, new, ran, by = found
    old = site.settings.other(new.name)
    runs = _version_of(old)
    return Foreseen(
        version=version,
        new=new,
        old=old,
        by=by,
        split=_split(site),
        ran=ran,
        runs=runs,
        problem=_problem(old, ran, runs, wish),
        drain_seconds=plan.drain_grace_seconds,
    )


def _which(site: Site, plan: Plan, wish: Wish) -> tuple[str, Colour, str | None, str] | None:
    """Version, new colour, what the old one ran, and the controller that is at work."""
    match way_back.which(site, plan.folder, wish):
        case Colour() as old:
            return way_back.BY_HAND, site.settings.other(old.name), None, ""
        case Journal() as journal:
            return _journalled(site, plan, journal)
        case Reported() as found:
            new = site.settings.colour(found.new)
            return found.version, new, None, found.who if found.is_alive else ""
        case None:
            return None


def _journalled(site: Site, plan: Plan, journal: Journal) -> tuple[str, Colour, str | None, str]:
    progress = journal.progress()
    detail = progress.detail
    if "to" not in detail:
        raise ConfigurationError(f"{journal.path} does not name its release.")
    at_work = not progress.ended and lock.is_held(plan.folder)
    by = f"process {(lock.owner(plan.folder) or {}).get('pid')}" if at_work else ""
    new = site.settings.colour(detail["to"])
    return str(detail["version"]), new, detail.get("old_version"), by


def _split(site: Site) -> str:
    try:
        found = site.driver.read_reachable()
    except MinaOpsError as error:
        return f"nobody can tell ({error})"
    behind = [f"{host} cannot follow: {why}" for host, why in found.left_behind.items()]
    return "; ".join([found.split.describe(), *behind])


def _version_of(colour: Colour) -> str | None:
    try:
        with AppClient(colour.name, colour.url) as client:
            return client.health().version
    except MinaOpsError:
        return None


def _problem(old: Colour, ran: str | None, runs: str | None, wish: Wish) -> str:
    try:
        gate.require_some_ready(old, tolerated=_CALLED_OFF)
    except OperatorError as error:
        return str(error)
    if ran is not None and runs is not None and runs != ran and not wish.force:
        return f"{old.name} runs {runs}, and ran {ran} before; --force goes to {runs}."
    return ""
