"""`rollback` and `release abort`: take a release back.

The newest release of this folder or, if none runs here, the one that another machine reports. If
its controller lives, it is asked to do it; if it is stopped, dead or stuck, it is replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mina_ops.cli import output
from mina_ops.cli.session import Session
from mina_ops.errors import ConfigurationError, Locked, MinaOpsError, OperatorError, RolledBack

if TYPE_CHECKING:
    from collections.abc import Callable

    from mina_ops.operator.release.elsewhere import Reported
    from mina_ops.operator.release.journal import Journal
    from mina_ops.operator.release.release import Release, Site
    from mina_ops.operator.release.way_back import Wish


def take_back(session: Session, wish: Wish, *, flags: bool = False) -> None:
    """Take the release back, or say that there is nothing to take back and what to type.

    Raises:
        NotRolledBack: traffic could not be brought back, or the old colour runs something else.
        ConfigurationError: there is nothing to roll back (`wish.done_too`), or no such colour.
    """
    from mina_ops.operator.config.colours import Colour
    from mina_ops.operator.release import opening, way_back
    from mina_ops.operator.release.elsewhere import Reported
    from mina_ops.operator.release.journal import Journal
    from mina_ops.operator.release.release import Site

    parts = session.for_the_way_back(output.say)
    site = Site(parts.settings, parts.driver)
    plan = way_back.lenient_plan(site, output.say)
    tell = way_back.lenient_teller(site, output.say)
    match way_back.which(site, plan.folder, wish):
        case None:
            _nothing(site, wish)
            return
        case Colour() as old:
            release = way_back.to_colour(site, old, plan, tell)
        case Journal() as journal:
            release = opening.reopen(site, journal, plan, tell)
            if _is_ended_by_its_controller(release, wish):
                if flags:
                    _set_flags_back(release)
                _finish(journal)
                return
        case Reported() as found:
            if found.is_alive and _is_ended_elsewhere(site, found, wish):
                return
            release = way_back.reported(site, found, plan, tell)
    _go_back(release, wish, flags=flags)


def show_take_back(session: Session, wish: Wish) -> None:
    """Say what `take_back` would do, and change nothing.

    Raises:
        NotRolledBack: traffic would stay where it is, as things are.
        ConfigurationError: there is nothing to roll back, or no such colour.
    """
    from mina_ops.operator.release import way_back
    from mina_ops.operator.release.foreseen import foresee
    from mina_ops.operator.release.release import Site
    from mina_ops.operator.release.rollback import NotRolledBack

    found = session.for_the_way_back(output.say)
    site = Site(found.settings, found.driver)
    foreseen = foresee(site, way_back.lenient_plan(site, output.say), wish)
    if foreseen is None:
        _nothing(site, wish)
        return
    output.data(foreseen.to_json(), "\n".join(foreseen.lines()))
    if foreseen.problem:
        raise NotRolledBack(f"It would not go back now: {foreseen.problem}")


def _is_ended_by_its_controller(release: Release, wish: Wish) -> bool:
    from mina_ops.operator.release import lock, way_back

    folder, journal = release.plan.folder, release.journal
    if journal.progress().ended or not lock.is_held(folder):
        return False
    taken = way_back.ask_controller(folder, journal, wish.why, output.say)
    return taken is not way_back.Taken.NOT_HEARD


def _set_flags_back(release: Release) -> None:
    from mina_ops.operator.release import flags

    for line in flags.set_back(release):
        output.say(line)


def _is_ended_elsewhere(site: Site, found: Reported, wish: Wish) -> bool:
    """Whether its controller on another machine took it back; says so if it did."""
    from mina_ops.operator.release import elsewhere

    ended = elsewhere.abort(site.settings, found, wish.why, output.say)
    if ended is None:
        return False
    if ended.phase not in ("rolled_back", "failed"):
        raise OperatorError(
            f"It ended as {ended.phase}; see `mina-ops status`, then `mina-ops rollback`."
        )
    text = f"{ended.version}: {ended.phase}, by its controller ({ended.who})."
    output.data(_as_reported(ended), text)
    return True


def _as_reported(ended: Reported) -> dict[str, Any]:
    """A release of another machine, by the keys of one of this machine as far as it tells them."""
    body = ended.body
    told = {key: body.get(key) for key in ("version", "to", "from", "phase", "percent", "who")}
    reasons = list(body.get("reasons") or ())
    return {"aborted": True, "release": ended.id, **told, "ended": True, "reasons": reasons}


def _nothing(site: Site, wish: Wish) -> None:
    """Say that there is nothing to take back, and which command may have been meant."""
    try:
        split = site.driver.read_reachable().split.describe()
    except MinaOpsError as error:
        split = str(error)
    names = list(site.settings.colours)
    text = (
        f"Nothing to take back: no release runs, and none that is done has the traffic ({split}). "
        f"`mina-ops rollback --to {names[0]}` sends everybody to {names[0]}."
    )
    if wish.done_too:
        raise ConfigurationError(text)
    if not output.is_json():
        text = text.replace("Nothing to take back", "Nothing to abort")
    output.data({"aborted": False, "reason": text}, text)


def _go_back(release: Release, wish: Wish, *, flags: bool) -> None:
    """Take the release back from here: no controller of it lives any more."""
    from mina_ops.operator.release import opening, way_back
    from mina_ops.operator.release.model import ENDED, WITH_TRAFFIC
    from mina_ops.operator.release.rollback import roll_back
    from mina_ops.operator.release.runner import take_back as give_up
    from mina_ops.operator.release.verdicts.model import Response

    way_back.require_same_version(release, wish, output.say)
    reason = f"aborted: {wish.why}" if wish.why else "aborted"
    phase = release.journal.progress().phase
    # A journal that was made here for a release of another machine does not say how far it came.
    moved = not release.journal.progress().started or phase in (*WITH_TRAFFIC, *ENDED)

    def act(opened: Release) -> None:
        if moved:
            roll_back(opened, Response.INSTANT, [reason])
        give_up(opened, wish.why)

    purpose = f"rollback of {release.version}"
    folder = release.plan.folder
    with opening.locked(release.site, purpose, folder=folder, take_over=True):
        _run(release, act)
    if flags:
        _set_flags_back(release)
    _finish(release.journal)


def _run(release: Release, act: Callable[[Release], None]) -> None:
    from mina_ops.cli.release_view import showing

    try:
        with showing(release):
            act(release)
    except RolledBack as done:
        output.say(str(done))
    except Locked:
        raise
    except OperatorError as error:
        if "before any traffic moved" not in str(error):
            raise
        output.say(str(error))
    finally:
        release.close()


def _finish(journal: Journal) -> None:
    from mina_ops.cli.release_summary import summary_or_damage

    value = summary_or_damage(journal)
    phase = value["phase"]
    if phase == "rolling_back":
        from mina_ops.operator.release.rollback import NotRolledBack

        raise NotRolledBack(
            "; ".join(value["reasons"]) + ". NOT rolled back by its controller; see "
            "`mina-ops release status`."
        )
    text = f"Traffic is on {value.get('from')}; {value.get('version')} is {phase}."
    if phase == "failed":
        text = f"{value.get('version')} was given up before any traffic moved."
    output.data({"aborted": True, **value}, text)
