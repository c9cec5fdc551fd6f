"""Several load balancers as one: all follow a split, or none does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mina_ops.errors import OperatorError, TrafficError
from mina_ops.operator.api.leases import Holder
from mina_ops.operator.traffic.base import Applied, Reading, TrafficDriver
from mina_ops.operator.traffic.model import Split

_T = TypeVar("_T")


def together(name: str, members: Sequence[TrafficDriver]) -> TrafficDriver:
    """The members as one driver; a single one is itself."""
    return members[0] if len(members) == 1 else FleetDriver(name, members)


class FleetDriver(TrafficDriver):
    """The traffic port over several load balancers, each asked at the same time.

    For the moment in which a split is applied they may differ, since no two hosts act at the
    same instant; sticky keys sort alike on all of them.
    """

    def __init__(self, name: str, members: Sequence[TrafficDriver]) -> None:
        self.name = name
        self._members = members

    def check(self) -> list[str]:
        """What is wrong with any of them."""
        return [problem for found in self._each(lambda member: member.check()) for problem in found]

    def read(self) -> Reading:
        """What all of them do.

        Raises:
            TrafficError: one does not answer, or they differ; the message names each.
        """
        readings = self._each(lambda member: member.read())
        if len({str(reading.split.to_json()) for reading in readings}) > 1:
            each = "; ".join(
                f"{member.name}: {reading.split.describe()}"
                for member, reading in zip(self._members, readings, strict=True)
            )
            raise TrafficError(
                f"The load balancers do not agree: {each}. Apply one split to all, with "
                "`mina-ops traffic apply`."
            )
        generations = {
            member.name: reading.generation
            for member, reading in zip(self._members, readings, strict=True)
        }
        proven = all(reading.proven for reading in readings)
        detail = {"generations": generations}
        return Reading(readings[0].split, max(generations.values()), proven, detail)

    def apply(self, split: Split) -> Applied:
        """Applied to each; if one fails, each gets back the split that it had."""
        started = time.monotonic()
        before = self._each(lambda member: member.read())
        results = self._attempt(lambda member: member.apply(split))
        failed = [(m, r) for m, r in zip(self._members, results, strict=True) if _is_error(r)]
        if failed:
            behind = self._put_back([reading.split for reading in before])
            raise TrafficError(_why(failed, behind))
        after = self.read()
        return Applied(before[0].split, after, (time.monotonic() - started) * 1000)

    def read_reachable(self) -> Reading:
        """What the first of those that answer does; who is silent or differs is left behind."""
        readings = self._attempt(lambda member: member.read())
        there = [(m, r) for m, r in zip(self._members, readings, strict=True) if not _is_error(r)]
        if not there:
            raise TrafficError(_silent(dict(self._by_name(readings))))
        first = there[0][1]
        assert isinstance(first, Reading)
        behind = {name: str(found) for name, found in self._by_name(readings) if _is_error(found)}
        for member, reading in there[1:]:
            assert isinstance(reading, Reading)
            if reading.split != first.split:
                behind[member.name] = f"it does something else: {reading.split.describe()}"
        return Reading(first.split, first.generation, first.proven, {"left_behind": behind})

    def apply_to_reachable(self, split: Split) -> Applied:
        """Applied to each that answers; if one of them fails, each gets back what it had."""
        readings = self._by_name(self._attempt(lambda member: member.read()))
        silent = {name: str(found) for name, found in readings if _is_error(found)}
        there = [member for member in self._members if member.name not in silent]
        if not there:
            raise TrafficError(_silent(silent))
        applied = together(self.name, there).apply(split)
        detail = {**applied.after.detail, "left_behind": silent}
        after = Reading(applied.after.split, applied.after.generation, applied.after.proven, detail)
        return Applied(applied.before, after, applied.milliseconds)

    def hold(self, mine: Holder) -> Holder | None:
        """Held on each; who else holds it on one, holds all of it, though another is silent.

        None: none of them keeps such a record, as several HAProxy that are reached by a socket.
        """
        results = self._attempt(lambda member: member.hold(mine))
        held = [found for found in results if isinstance(found, Holder)]
        others = [holder for holder in held if holder.id != mine.id]
        if not others:
            _require_answers(results)
        return next(iter((*others, *held)), None)

    def free(self, lease_id: str) -> None:
        """Given back on each."""
        self._each(lambda member: member.free(lease_id))

    def holder(self) -> Holder | None:
        """Who holds it on any of them."""
        results = self._attempt(lambda member: member.holder())
        for found in results:
            if isinstance(found, Holder):
                return found
        _require_answers(results)
        return None

    def long_requests(self, colour: str) -> int | None:
        """The sum over those that can tell; None: none of them can."""
        found = self._each(lambda member: member.long_requests(colour))
        told = [count for count in found if count is not None]
        return sum(told) if told else None

    def plan(self, split: Split) -> list[str]:
        """What `apply` would do on each."""
        return [f"{member.name}: {line}" for member in self._members for line in member.plan(split)]

    def render(self) -> dict[str, str]:
        """The configurations of all of them."""
        return {path: text for member in self._members for path, text in member.render().items()}

    def install(self) -> list[str]:
        """Installed on one after the other; the first that fails ends it."""
        return [line for member in self._members for line in member.install()]

    def _by_name(self, results: Sequence[_T]) -> list[tuple[str, _T]]:
        names = [member.name for member in self._members]
        return list(zip(names, results, strict=True))

    def _put_back(self, splits: Sequence[Split]) -> list[str]:
        """The names of those that cannot be brought back."""
        earlier = dict(zip((member.name for member in self._members), splits, strict=True))
        results = self._attempt(lambda member: member.apply(earlier[member.name]))
        pairs = zip(self._members, results, strict=True)
        return [member.name for member, result in pairs if _is_error(result)]

    def _each(self, ask: Callable[[TrafficDriver], _T]) -> list[_T]:
        with ThreadPoolExecutor(max_workers=len(self._members)) as pool:
            return list(pool.map(ask, self._members))

    def _attempt(self, ask: Callable[[TrafficDriver], _T]) -> list[_T | OperatorError]:
        def attempt(member: TrafficDriver) -> _T | OperatorError:
            try:
                return ask(member)
            except OperatorError as error:
                return error

        return self._each(attempt)


def _silent(reasons: Mapping[str, object]) -> str:
    told = "; ".join(str(reason) for reason in reasons.values())
    return f"No load balancer answers: {told}"


def _require_answers(results: Sequence[object]) -> None:
    """Raise the first error among them, if there is one."""
    for result in results:
        if isinstance(result, OperatorError):
            raise result


def _is_error(result: object) -> bool:
    return isinstance(result, OperatorError)


def _why(failed: Sequence[tuple[TrafficDriver, object]], behind: Sequence[str]) -> str:
    reasons = " ".join(f"{member.name} did not follow: {error}" for member, error in failed)
    if not behind:
        return f"{reasons} Traffic is as it was on all load balancers."
    return (
        f"{reasons} Not brought back, look at them: {', '.join(behind)}. Traffic is as it was on "
        "the others."
    )
