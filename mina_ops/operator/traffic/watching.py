"""Active health checks for load balancers that have none: alert, and take a sick colour out.

The playbook's figures: every 5 s, down after 2 failures, up after 2 passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mina_ops.errors import OperatorError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.config.colours import Colour
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.traffic import pins
from mina_ops.operator.traffic.base import TrafficDriver
from mina_ops.operator.traffic.gate import require_ready
from mina_ops.operator.traffic.model import Split
from mina_ops.operator.traffic.site_lock import Places, SiteLock


@dataclass
class Hysteresis:
    """Whether a colour counts as up, which flips only after several results in a row."""

    fails: int = 2
    passes: int = 2
    up: bool = True
    _against: int = 0

    def observe(self, healthy: bool) -> bool:
        """Take one result in; True if the state flipped with it."""
        self._against = 0 if healthy == self.up else self._against + 1
        if self._against < (self.passes if healthy else self.fails):
            return False
        self.up = healthy
        self._against = 0
        return True


@dataclass(frozen=True)
class Sight:
    """One look at one colour: `detail` says what is wrong; `flipped` if up or down is news."""

    colour: str
    healthy: bool
    detail: str
    up: bool
    flipped: bool


def look(colour: Colour) -> tuple[bool, str]:
    """Whether a colour is healthy now, and its own words if it is not."""
    try:
        with AppClient(colour.name, colour.url) as client:
            health = client.health()
    except OperatorError as error:
        return False, str(error)
    if health.healthy:
        return True, health.version
    failing = ", ".join(health.failing())
    return False, f"{colour.name} is {health.status}" + (f": {failing}" if failing else "")


def watch(
    settings: OperatorSettings,
    colours: tuple[str, ...],
    pause: Callable[[], bool],
    *,
    fails: int = 2,
    passes: int = 2,
) -> Iterator[Sight]:
    """A `Sight` of every colour each round, until `pause`, which waits, returns False."""
    watched = [settings.colour(name) for name in colours]
    states = {colour.name: Hysteresis(fails, passes) for colour in watched}
    with ThreadPoolExecutor(max_workers=len(watched)) as pool:
        while True:
            for colour, (healthy, detail) in zip(watched, pool.map(look, watched), strict=True):
                state = states[colour.name]
                flipped = state.observe(healthy)
                yield Sight(colour.name, healthy, detail, state.up, flipped)
            if not pause():
                return


class TakeOut:
    """Moves traffic off a colour that went down, and back when it is up again.

    Only to a colour that is ready, and back only if nobody changed traffic meanwhile. One of
    several load balancers that does not answer keeps no colour in; it is named.
    """

    def __init__(self, settings: OperatorSettings, driver: TrafficDriver) -> None:
        self._settings = settings
        self._driver = driver
        # Colour -> the split that it had, and the one that it was taken out with.
        self._taken: dict[str, tuple[Split, Split]] = {}

    def act(self, sight: Sight) -> str | None:
        """What was done about a colour that is down, or up again; None if nothing had to be.

        One that could not be moved is tried again at the next look.

        Raises:
            Locked: somebody else moves traffic, such as a release.
            AppUnhealthy, AppUnreachable: the other colour is not ready; traffic stays.
            TrafficError: the load balancer did not follow; traffic stays.
        """
        if sight.up is not (sight.colour in self._taken):
            return None
        if not sight.up and not self._driver.read_reachable().split.serves(sight.colour):
            return None
        purpose = f"watch --take-out, which moves {sight.colour}"
        with SiteLock(Places(self._settings, self._driver), purpose):
            return self._back(sight.colour) if sight.up else self._out(sight.colour)

    def _out(self, name: str) -> str | None:
        before = self._driver.read_reachable().split
        if not before.serves(name):
            return None
        other = self._settings.other(name)
        require_ready(other)
        cohorts = [user for user, to in before.cohorts.items() if to == name]
        target = before.giving(other.name, 100).with_cohort(cohorts, None)
        applied = self._driver.apply_to_reachable(pins.forgetting(target, name)).after
        self._taken[name] = (before, applied.split)
        behind = [f"{host} was left behind: {why}" for host, why in applied.left_behind.items()]
        return "; ".join([f"{name} is taken out: {applied.split.describe()}", *behind])

    def _back(self, name: str) -> str:
        before, given = self._taken[name]
        if self._driver.read().split != given:
            del self._taken[name]
            return f"{name} is up; traffic was changed by hand meanwhile and stays as it is"
        require_ready(self._settings.colour(name))
        applied = self._driver.apply(before)
        del self._taken[name]
        return f"{name} is back in: {applied.after.split.describe()}"
