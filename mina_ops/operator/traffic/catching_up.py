"""A host that was away takes over the split of the others before its load balancer serves again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from mina_ops.errors import ConfigurationError, OperatorError, TrafficError
from mina_ops.operator.traffic.base import Reading, TrafficDriver
from mina_ops.operator.traffic.model import Split
from mina_ops.operator.traffic.remote import RemoteDriver

_MOST_TRIES = 5


@dataclass(frozen=True)
class CaughtUp:
    """What was taken over: the split (None: nobody answered), from whom, and who was silent."""

    split: Split | None
    sources: Sequence[str] = ()
    silent: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A plain value for JSON."""
        split = None if self.split is None else self.split.to_json()
        return {"split": split, "from": list(self.sources), "silent": dict(self.silent)}

    def describe(self) -> str:
        """One sentence."""
        if self.split is None:
            return "No other host answers; this one goes on with the split that it kept."
        return f"{self.split.describe()}, as {' and '.join(self.sources)}"


def catch_up(driver: TrafficDriver, commands: Sequence[str]) -> CaughtUp:
    """Let the load balancer of this host do what the others do; blocks up to 30 s for them.

    Args:
        commands: each runs mina-ops on another host.

    Raises:
        ConfigurationError: one is no command.
        TrafficError: the others do not agree, or the split cannot be kept here.
    """
    hosts = {command: RemoteDriver(command, _argv(command)) for command in commands}
    caught = _asked(hosts)
    # Again, until nobody has switched while the split was taken over.
    for _ in range(_MOST_TRIES):
        if caught.split is None:
            return caught
        _follow(driver, caught.split)
        before, caught = caught, _asked(hosts)
        if caught.split in (before.split, None):
            return before
    raise TrafficError("Traffic kept changing while it was taken over; try again.")


def _asked(hosts: Mapping[str, RemoteDriver]) -> CaughtUp:
    """The split of those that answer, and who does not."""
    with ThreadPoolExecutor(len(hosts)) as pool:
        found = dict(zip(hosts, pool.map(_read, hosts.values()), strict=True))
    silent = {name: str(one) for name, one in found.items() if isinstance(one, OperatorError)}
    told = {name: one.split for name, one in found.items() if isinstance(one, Reading)}
    if not told:
        return CaughtUp(None, (), silent)
    split = next(iter(told.values()))
    if any(one != split for one in told.values()):
        each = "; ".join(f"{name}: {one.describe()}" for name, one in told.items())
        raise TrafficError(
            f"The other hosts do not agree: {each}. Apply one split to all of them first, with "
            "`mina-ops traffic apply`."
        )
    return CaughtUp(split, tuple(told), silent)


def _follow(driver: TrafficDriver, split: Split) -> None:
    """Apply it where the load balancer runs already; else let it begin so."""
    try:
        driver.read()
    except TrafficError:
        driver.keep(split)
    else:
        driver.apply(split)


def _read(host: RemoteDriver) -> Reading | OperatorError:
    try:
        return host.read()
    except OperatorError as error:
        return error


def _argv(command: str) -> tuple[str, ...]:
    try:
        argv = tuple(shlex.split(command))
    except ValueError:
        argv = ()
    if not argv:
        raise ConfigurationError(f"--from {command!r} is no command that can be run.")
    return argv
