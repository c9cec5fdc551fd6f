"""Recovers from a total failure with the newest proven backup and the last good release.

Each step is recorded when it is done, so a recovery that was interrupted goes on with the first
step that is not. The database in use is never overwritten: the backup goes into another one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mina_ops.errors import ConfigurationError, MinaOpsError, OperatorError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.checklist.postflight import Released, last_release
from mina_ops.operator.config import incident as incident_options
from mina_ops.operator.config.colours import Colour
from mina_ops.operator.config.incident import IncidentOptions
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.database.backup import manifest, restore
from mina_ops.operator.database.connection import connect
from mina_ops.operator.database.connection.options import DatabaseOptions
from mina_ops.operator.database.integrity import integrity
from mina_ops.operator.database.integrity.expectations import Expectations
from mina_ops.operator.incident import record, response
from mina_ops.operator.incident.status_page.model import Entry
from mina_ops.operator.incident.status_page.publishing import moment, page_of
from mina_ops.operator.notify.channels import Notifier
from mina_ops.operator.release import plan
from mina_ops.operator.system import programs
from mina_ops.operator.traffic import gate
from mina_ops.operator.traffic.base import TrafficDriver
from mina_ops.operator.traffic.model import Split
from mina_ops.operator.traffic.site_lock import Places, SiteLock
from mina_ops.waiting import wait_until

KIND = "recovery"
_HOOK_SECONDS = 1800.0
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        act: does it, and returns a few words on the result.
        holds: of a step that an earlier run did: whether its result still stands; else it is done
            again.
    """

    name: str
    sentence: str
    act: Callable[[], str]
    holds: Callable[[], bool] = lambda: True


@dataclass
class Recovery:
    """A recovery with all that it needs.

    Attributes:
        colour: the colour to bring back.
        version: the release that it runs, the last good one.
        backup: the newest proven backup.
        healthy_seconds: how long the colour may take to be ready.
    """

    settings: OperatorSettings
    driver: TrafficDriver
    database: DatabaseOptions
    incident: IncidentOptions
    notifier: Notifier
    colour: str
    version: str
    backup: Path
    healthy_seconds: float = 300.0

    def steps(self) -> list[Step]:
        """The steps, in the order in which they are done."""
        target = self.database.restore_env
        return [
            Step("hotline", "Open the emergency hotline", self._hotline),
            Step("status", "Tell the users on the status page", self._status),
            Step("restore", f"Restore {self.backup.name} into {target}", self._restore),
            Step("verify", f"Check that every row is there in {target}", self._verify),
            Step(
                "start",
                f"Start {self.colour} with {self.version} on it",
                self._start,
                holds=lambda: self.colour in healthy_colours(self.settings),
            ),
            Step("health", f"Wait until {self.colour} is ready", self._health),
            Step("traffic", f"Send everyone to {self.colour}", self._traffic),
            Step("tell", "Tell the users that it is back, and close the hotline", self._tell),
        ]

    def _hotline(self) -> str:
        incident, told = response.activate_hotline(
            self.incident, self.notifier, datetime.now(UTC), "Both colours are down."
        )
        return f"{incident.name}, {sum(item.delivered for item in told)} channels told"

    def _status(self) -> str:
        text = "Service temporarily unavailable. We are restoring it."
        self._publish("outage", text)
        return text

    def _restore(self) -> str:
        target = connect.from_variable(self.database.restore_env)
        in_use = [
            connect.from_variable(name)
            for name in (self.database.url_env, self.database.production_env)
            if os.environ.get(name)
        ]
        came = restore.restore(self.backup, target, protected=in_use)
        if came.differences:
            raise OperatorError(f"The restored rows differ: {'; '.join(came.differences[:3])}.")
        return "; ".join([target.name, *came.remarks])

    def _verify(self) -> str:
        target = connect.from_variable(self.database.restore_env)
        known = manifest.read(self.backup)
        expected = Expectations(tables=known.tables, exact=True) if known else None
        report = integrity.check(target, expected)
        if not report.clean:
            raise OperatorError(f"{target.name} is not whole:\n{report.to_text()}")
        return "no fault"

    def _start(self) -> str:
        chosen = plan.read(self.settings)
        new, old = self.settings.colour(self.colour), self.settings.other(self.colour)
        words = {"version": self.version, "to": new.name, "from": old.name}
        words |= {"to_name": _alias(new), "from_name": _alias(old)}
        commands = chosen.commands("start", words | {"instances": str(chosen.instances)})
        environment = {"DATABASE_URL": os.environ.get(self.database.restore_env, "")}
        for command in commands:
            # Not `run`: a command that starts a server in the background leaves its output open,
            # and `run` would wait for the end of that.
            result = programs.follow(
                command, lambda _: None, timeout_seconds=_HOOK_SECONDS, environment=environment
            )
            if not result.ok:
                raise OperatorError(f"`{programs.quoted(command)}`: {result.last_line()}")
        if not commands:
            return "release.hooks.start is not set; start it by hand, then answer yes"
        return f"{len(commands)} commands"

    def _health(self) -> str:
        colour = self.settings.colour(self.colour)
        with AppClient(colour.name, colour.url) as client:
            version, trouble = wait_until(
                lambda: _readiness(client, colour),
                self.healthy_seconds,
                pause=_POLL_SECONDS,
                enough=lambda found: not found[1],
            )
        if trouble:
            raise OperatorError(f"{colour.name} is not ready: {trouble}")
        return f"{colour.name} runs {version}"

    def _traffic(self) -> str:
        shares = {name: 100 if name == self.colour else 0 for name in self.settings.colours}
        with SiteLock(Places(self.settings, self.driver), "recover", insist=True):
            self.driver.apply(Split(shares))
        return self.driver.read().split.describe()

    def _tell(self) -> str:
        self._publish("operational", "Service is restored.")
        response.close_hotline(self.incident, self.notifier, datetime.now(UTC))
        return "done"

    def _publish(self, state: str, text: str) -> None:
        page_of(self.incident).publish(Entry(moment(datetime.now(UTC)), state, text))


def _alias(colour: Colour) -> str:
    return colour.aliases[0] if colour.aliases else colour.name


def _readiness(client: AppClient, colour: Colour) -> tuple[str, str]:
    """The version that the colour runs, and why it is not ready; "" if it is."""
    try:
        found = client.health()
        if not found.healthy:
            return "", f"{found.status}: {', '.join(found.failing())}"
        gate.require_ready(colour)
    except MinaOpsError as exc:
        return "", str(exc)
    return str(found.version), ""


def released(settings: OperatorSettings) -> Released | None:
    """The last good release; None where none was done."""
    try:
        return last_release(settings)
    except ConfigurationError:
        return None


def newest_backup(options: DatabaseOptions) -> Path:
    """The newest backup of the database in use that was proven by a restore, and is whole now.

    If no variable names the database in use, backups of any database count.

    Raises:
        ConfigurationError: there is none.
        RestoreFailed: it is not the file that was proven.
    """
    folder = options.folder
    names = [n for n in (options.production_env, options.url_env) if os.environ.get(n)]
    sources = [connect.from_variable(name).address for name in names]
    found = manifest.newest(folder, *sources) if folder.is_dir() else None
    if found is None:
        raise ConfigurationError(
            f"There is no proven backup of this database in {folder}; copy one there with its "
            "manifest, or give --backup FILE."
        )
    restore.check(found[0])
    return found[0]


@dataclass(frozen=True)
class Begun:
    """What an interrupted recovery was begun with; the colour that it started may live by now."""

    backup: Path
    colour: str
    version: str


def begun(settings: OperatorSettings) -> Begun | None:
    """The recovery that was interrupted, if there is one."""
    running = record.ongoing(_folder(settings), KIND)
    if running is None:
        return None
    first = running.events[0]
    return Begun(Path(str(first["backup"])), str(first["colour"]), str(first["version"]))


def forget(settings: OperatorSettings) -> None:
    """Close an interrupted recovery, so that the next run begins with the first step."""
    running = record.ongoing(_folder(settings), KIND)
    if running is not None:
        record.note(running, "closed", datetime.now(UTC), why="begun anew")


def _folder(settings: OperatorSettings) -> Path:
    return incident_options.read(settings.section("incident")).folder


def healthy_colours(settings: OperatorSettings) -> list[str]:
    """The names of the colours that answer and are healthy; a recovery is for when none is."""
    found = []
    for colour in settings.colours.values():
        try:
            with AppClient(colour.name, colour.url) as client:
                if client.health().healthy:
                    found.append(colour.name)
        except MinaOpsError:
            continue
    return found


def play(
    recovery: Recovery, confirm: Callable[[Step], bool], say: Callable[[Step, str], None]
) -> None:
    """Go through the steps that are not done yet, each confirmed.

    Raises:
        OperatorError: a step failed or was not confirmed; a later run goes on from there.
    """
    now = datetime.now(UTC)
    folder = recovery.incident.folder
    running = record.ongoing(folder, KIND) or record.begin(
        folder,
        KIND,
        now,
        backup=str(recovery.backup),
        colour=recovery.colour,
        version=recovery.version,
    )
    done = {str(event.get("step")) for event in running.events if event["event"] == "done"}
    for step in recovery.steps():
        if step.name in done and step.holds():
            say(step, "done before")
            continue
        if not confirm(step):
            raise OperatorError(f"Stopped before: {step.sentence}. Run it again to go on.")
        came = step.act()
        running = record.note(running, "done", datetime.now(UTC), step=step.name, came=came)
        say(step, came)
    record.note(running, "closed", datetime.now(UTC))
