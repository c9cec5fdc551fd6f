"""A flag's percentage grown step by step, each step only while the release triggers pass.

Where a rollout stands is told by the flag itself and its history, so a controller that was
killed goes on when the same command is given again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from mina_ops.errors import (
    AppUnhealthy,
    AppUnreachable,
    ConfigurationError,
    OperatorError,
    RolledBack,
)
from mina_ops.operator.api.flags import FlagsClient
from mina_ops.operator.release.verdicts.figures import RECENT_SECONDS, WINDOWS_SECONDS, figures
from mina_ops.operator.release.verdicts.judging import judge
from mina_ops.operator.release.verdicts.model import (
    Figures,
    Judgement,
    Response,
    Streak,
    Triggers,
    Verdict,
)

NO_DATA = ("wait", "continue")

Say = Callable[[str], None]

_AWAY = (AppUnreachable, AppUnhealthy)


_MOST_TAKES = 5


@dataclass(frozen=True)
class RolloutPlan:
    """What is to be done.

    Args:
        steps: percentages, growing, the last one is the aim.
        every_seconds: how long each step is watched before the next.
        on_fail: `off` kills the flag when a trigger fails, `hold` leaves it where it is.
        no_data: `wait` until every trigger passed, or `continue` where too little traffic came;
            figures that cannot be read, or are stale, are waited for in either case.
        patience_seconds: how much longer than `every_seconds` missing figures are waited for.
    """

    key: str
    steps: Sequence[float]
    every_seconds: float
    triggers: Triggers = field(default_factory=Triggers)
    on_fail: str = "off"
    no_data: str = "wait"
    look_seconds: float = 5.0
    patience_seconds: float = 600.0

    def __post_init__(self) -> None:
        growing = list(self.steps) == sorted(set(self.steps))
        if not self.steps or not growing or not 0 < self.steps[0] <= self.steps[-1] <= 100:
            raise ConfigurationError("--steps are growing percentages, such as 10,25,50,100.")

    def remaining(self, flag: Mapping[str, Any]) -> list[float]:
        """The steps still to be taken, given the flag as it is."""
        reached = float(flag["rollout_percent"]) if flag["enabled"] else 0.0
        return [step for step in self.steps if step > reached]


class Rollout:
    """One run of a plan. `measure` reads the figures of a window in seconds."""

    def __init__(
        self,
        client: FlagsClient,
        plan: RolloutPlan,
        say: Say,
        *,
        measure: Callable[[int], Figures] | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._plan = plan
        self._say = say
        self._measure = measure or (lambda window: _figures(client, window))
        self._clock = clock
        self._sleep = sleep
        self._streaks: Mapping[str, Streak] = {}

    def run(self) -> dict[str, Any]:
        """Take all remaining steps and watch each; returns the flag at the end.

        Raises:
            RolledBack: a trigger failed and the flag was turned off.
            OperatorError: a trigger failed and the flag was left where it is, figures did not
                come, or somebody else changed the flag meanwhile.
        """
        plan, flag = self._plan, self._read()[0]
        remaining = plan.remaining(flag)
        baseline = self._baseline()
        if len(remaining) < len(plan.steps):
            since = self._clock() - self._changed_at()
            self._say(
                f"{plan.key} is at {flag['rollout_percent']:g} % for {since:.0f} s; going on."
            )
            self._watch(baseline, flag, since)
        for percent in remaining:
            flag = self._take(flag, percent)
            self._say(f"{plan.key} is at {percent:g} %; watching for {plan.every_seconds:g} s.")
            self._watch(baseline, flag, 0.0)
        self._say(f"{plan.key} has reached {plan.steps[-1]:g} %.")
        return self._read()[0]

    def preview(self) -> list[str]:
        """What `run` would do, in words."""
        plan, flag = self._plan, self._read()[0]
        lines = [f"{plan.key}: enabled {flag['enabled']}, {flag['rollout_percent']:g} %"]
        lines += [
            f"set {step:g} %, watch for {plan.every_seconds:g} s; on failure: {plan.on_fail}"
            for step in plan.remaining(flag)
        ]
        return lines

    def _baseline(self) -> Figures:
        """Figures from before the rollout, once they are enough to judge by.

        Raises:
            OperatorError: they are bad already, or they do not come; nobody got the flag then.
        """
        deadline, self._streaks = self._clock() + self._plan.patience_seconds, {}
        while True:
            found = self._measure(WINDOWS_SECONDS[-1])
            judgement = judge(found, found, self._plan.triggers, self._streaks)
            self._streaks = judgement.streaks
            if found.fault or judgement.response is not Response.NONE:
                reasons = "; ".join(judgement.reasons) or found.fault
                key = self._plan.key
                raise OperatorError(f"{key} stays where it is, {reasons} even before it.")
            if self._suffices(judgement):
                return found
            if self._clock() >= deadline:
                self._give_up(judgement)
            self._sleep(self._plan.look_seconds)

    def _take(self, left: Mapping[str, Any], percent: float) -> dict[str, Any]:
        """The flag at its next step, unless somebody changed it since: a kill stays a kill.

        Raises:
            OperatorError: what names the flag's state never fits, though the flag is as it was.
            RolledBack: the app went away meanwhile, and the flag was turned off.
        """
        for _ in range(_MOST_TAKES):
            try:
                revision = self._refuse_change(left)
                values = {"enabled": True, "rollout_percent": percent}
                taken = self._client.set_if(self._plan.key, values, revision)
            except _AWAY as exc:
                # Perhaps it took the step and died before it said so: nobody would watch it.
                why = f"the app does not answer whether it took the step to {percent:g} % ({exc})"
                self._leave_or_turn_off(why)
            if taken is not None:
                return taken
            self._sleep(self._plan.look_seconds)
        raise OperatorError(
            f"{self._plan.key} is as it was left, and yet each step is refused as if it had been "
            "changed: something between here and the app changes the header If-Match."
        )

    def _watch(self, baseline: Figures, flag: Mapping[str, Any], elapsed: float) -> None:
        """Return when the step was watched long enough and every trigger passed."""
        plan, self._streaks = self._plan, {}
        began = self._clock() - elapsed
        while True:
            elapsed = self._clock() - began
            judgement = self._look(baseline, elapsed)
            if judgement.response is not Response.NONE:
                self._fail(judgement)
            if elapsed >= plan.every_seconds:
                if self._suffices(judgement):
                    return
                if elapsed >= plan.every_seconds + plan.patience_seconds:
                    self._give_up(judgement)
            left = plan.every_seconds - elapsed
            self._sleep(min(plan.look_seconds, left) if left > 0 else plan.look_seconds)
            with suppress(*_AWAY):  # the next look says so, and no step is taken meanwhile
                self._refuse_change(flag)

    def _suffices(self, judgement: Judgement) -> bool:
        may_lack = self._plan.no_data == "continue" and _quiet(judgement)
        return judgement.conclusive or may_lack

    def _give_up(self, judgement: Judgement) -> NoReturn:
        missing = "; ".join(_open(judgement))
        raise OperatorError(f"{self._plan.key} stays where it is, nothing tells: {missing}")

    def _look(self, baseline: Figures, elapsed: float) -> Judgement:
        window = max((w for w in WINDOWS_SECONDS if w <= elapsed), default=WINDOWS_SECONDS[0])
        found = self._measure(window)
        before = replace(baseline, recent=(baseline,) * len(found.recent))
        judgement = judge(found, before, self._plan.triggers, self._streaks)
        self._streaks = judgement.streaks
        return judgement

    def _fail(self, judgement: Judgement) -> NoReturn:
        self._leave_or_turn_off("; ".join(judgement.reasons))

    def _leave_or_turn_off(self, reasons: str) -> NoReturn:
        key = self._plan.key
        if self._plan.on_fail == "hold":
            raise OperatorError(f"{key} stays where it is: {reasons}")
        waiting = self._turn_off().get("waiting_for")
        late = f" (not yet applied by {', '.join(waiting)})" if waiting else ""
        raise RolledBack(f"{key} was turned off{late}: {reasons}")

    def _turn_off(self) -> dict[str, Any]:
        """Turn the flag off, even if the app or the shared state comes back only later."""
        deadline = self._clock() + self._plan.patience_seconds
        while True:
            try:
                return self._client.set(self._plan.key, {"enabled": False})
            except _AWAY as exc:
                if self._clock() >= deadline:
                    raise
                self._say(f"{self._plan.key} cannot be turned off yet: {exc}")
            self._sleep(self._plan.look_seconds)

    def _read(self) -> tuple[dict[str, Any], str]:
        found = self._client.read(self._plan.key)
        if found is None:
            raise ConfigurationError(
                f"There is no flag {self._plan.key}; make it with `mina-ops flags set`."
            )
        if found[0].get("stale"):
            raise AppUnhealthy("The flags are stale: the shared state is away. Try again later.")
        return found

    def _refuse_change(self, left: Mapping[str, Any]) -> str:
        """The flag's revision, if it is as it was left."""
        found, revision = self._read()
        for name in ("enabled", "rollout_percent", "rules", "salt", "allow", "deny", "colours"):
            if found[name] != left[name]:
                raise OperatorError(
                    f"Somebody changed {name} of {self._plan.key} meanwhile; it stays as it is."
                )
        return revision

    def _changed_at(self) -> float:
        changes = self._client.history(self._plan.key, 1)
        return float(changes[0]["at"]) if changes else 0.0


def _figures(client: FlagsClient, window: int) -> Figures:
    return figures(client.app, window, tuple(w for w in RECENT_SECONDS if w < window))


def _quiet(judgement: Judgement) -> bool:
    """Whether every trigger passed or had too little to judge by, and none begins to fail."""
    fine = (Verdict.PASS, Verdict.NO_DATA)
    return all(f.verdict in fine and not f.streak.times for f in judgement.findings)


def _open(judgement: Judgement) -> list[str]:
    return [f"{f.trigger}: {f.reason}" for f in judgement.findings if f.verdict != "pass"]
