"""The traffic port on another host, where `mina-ops` is run by a command such as ssh."""

from __future__ import annotations

import json
from typing import Any

from mina_ops.errors import ConfigurationError, OperatorError, ToolMissing, TrafficError
from mina_ops.operator.api.leases import Holder
from mina_ops.operator.config.tables import Table
from mina_ops.operator.system import programs
from mina_ops.operator.traffic.base import Applied, Reading, TrafficDriver
from mina_ops.operator.traffic.fleet import together
from mina_ops.operator.traffic.model import Split

_ANSWER_SECONDS = 30.0


def remotes(name: str, table: Table) -> TrafficDriver:
    """The load balancers that the table `hosts` lists, each with a command, as one.

    Args:
        table: the driver's own table, in which nothing else may stand beside `hosts`.

    Raises:
        ConfigurationError: it cannot be used.
    """
    hosts = table.table("hosts")
    table.done()
    members = []
    for host in hosts.keys():  # noqa: SIM118 - no dict
        argv = hosts.texts(host)
        if not argv:
            raise hosts.wrong(host, "give the command that runs mina-ops there, as a list.")
        members.append(RemoteDriver(host, argv))
    return together(name, members)


class RemoteDriver(TrafficDriver):
    """A load balancer on another host; what it promises is what that host's driver promises.

    Args:
        name: what to call the host.
        argv: runs mina-ops there, as ("ssh", "lb1", "mina-ops", "--config", "/etc/mina.toml").
    """

    def __init__(self, name: str, argv: tuple[str, ...]) -> None:
        self.name = name
        self._argv = argv
        self._held = ""

    def check(self) -> list[str]:
        """What that host's check says."""
        try:
            value = self._ask("check", accept=(0, TrafficError.exit_code))
        except TrafficError as error:
            return [str(error)]
        return [f"{self.name}: {problem}" for problem in value.get("problems", [])]

    def read(self) -> Reading:
        """What that host's load balancer does."""
        return self._reading(self._ask("read"))

    def apply(self, split: Split) -> Applied:
        """Applied there, with that host's own read-back."""
        held = ("--lock", self._held) if self._held else ()
        value = self._ask("apply", *held, text_in=json.dumps(split.to_json()))
        try:
            before = Split.from_json(value["before"])
            return Applied(before, self._reading(value), float(value["milliseconds"]))
        except (KeyError, TypeError, ValueError, ConfigurationError) as exc:
            raise self._nonsense() from exc

    def plan(self, split: Split) -> list[str]:
        """The command that would be run, with its standard input."""
        command = programs.quoted([*self._argv, "traffic", "apply", "--json"])
        return [f"{command} <<< '{json.dumps(split.to_json())}'"]

    def hold(self, mine: Holder) -> Holder | None:
        """Held there."""
        value = self._ask("hold", text_in=json.dumps(mine.to_json())).get("holder")
        held = self._holder(value)
        if held is not None:
            self._held = held.id
        return held

    def free(self, lease_id: str) -> None:
        """Given back there."""
        self._ask("free", "--id", lease_id)

    def holder(self) -> Holder | None:
        """Who holds it there."""
        return self._holder(self._ask("holder").get("holder"))

    def install(self) -> list[str]:
        """Installed there."""
        return [f"{self.name}: {line}" for line in self._ask("install").get("done", [])]

    def _ask(
        self, action: str, *more: str, text_in: str | None = None, accept: tuple[int, ...] = (0,)
    ) -> dict[str, Any]:
        argv = [*self._argv, "traffic", action, "--json", *more]
        try:
            result = programs.run(argv, text_in=text_in, timeout_seconds=_ANSWER_SECONDS)
        except ToolMissing:
            raise
        except OperatorError as exc:
            raise TrafficError(f"{self.name}: {exc}") from exc
        if result.code not in accept:
            said = result.last_line().removeprefix("mina-ops: ")
            raise TrafficError(f"{self.name}: {said}")
        try:
            value = json.loads(result.stdout)
        except ValueError as exc:
            raise self._nonsense() from exc
        if not isinstance(value, dict):
            raise self._nonsense()
        return value

    def _reading(self, value: dict[str, Any]) -> Reading:
        try:
            split = Split.from_json(value["split"])
            return Reading(split, int(value["generation"]), bool(value.get("proven", True)))
        except (KeyError, TypeError, ValueError, ConfigurationError) as exc:
            raise self._nonsense() from exc

    def _holder(self, value: Any) -> Holder | None:
        try:
            return None if value is None else Holder.from_json(value)
        except ValueError as exc:
            raise self._nonsense() from exc

    def _nonsense(self) -> TrafficError:
        return TrafficError(
            f"{self.name}: `{programs.quoted(self._argv)}` answers nothing that mina-ops says; "
            "does it run mina-ops there?"
        )
