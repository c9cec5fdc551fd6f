"""The traffic port on one nginx of this host."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import Any

from mina_ops.errors import TrafficError
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.system import programs
from mina_ops.operator.system.patience import patient
from mina_ops.operator.traffic.base import Applied, Reading, TrafficDriver
from mina_ops.operator.traffic.installation import Installation
from mina_ops.operator.traffic.mirror import HEADER, MOST_AT_ONCE, Mirror
from mina_ops.operator.traffic.model import Split, require_colours
from mina_ops.operator.traffic.nginx.control import NginxControl
from mina_ops.operator.traffic.nginx.dump import ErrorLog, NginxDump
from mina_ops.operator.traffic.nginx.options import NginxOptions, read_options
from mina_ops.operator.traffic.nginx.store import SplitStore
from mina_ops.operator.traffic.state_lock import StateLock
from mina_ops.operator.traffic.templates import Rendering, render

_SERVED_SECONDS = 2.0
_READ_TRIES = 5
# No app answers it, and nginx takes it for an error that leads somewhere.
_COPY_STATUS = 469
_ADVICE = "Install nginx 1.22 or newer, or set traffic.nginx.program."


class NginxDriver(TrafficDriver):
    """A stock nginx; see the port for what each method promises."""

    name = "nginx"

    def __init__(self, settings: OperatorSettings, options: NginxOptions) -> None:
        first, second = settings.colours
        self._settings = settings
        self._options = options
        self._colours = (first, second)
        self._store = SplitStore(options.state, self._colours)
        self.control = NginxControl(*options.control_address)

    @classmethod
    def from_settings(cls, settings: OperatorSettings) -> NginxDriver:
        """The driver for `[traffic.nginx]`; does no I/O."""
        return cls(settings, read_options(settings.section("traffic", "nginx")))

    def check(self) -> list[str]:
        """What is wrong, one sentence each; also runs `nginx -t`."""
        problems = []
        test = programs.run(self._command("-t"))
        if not test.ok:
            problems.append(f"nginx refuses its configuration: {test.reason()}")
        if not os.access(self._options.state, os.W_OK):
            problems.append(f"{self._options.state} cannot be written; traffic could not change.")
        loaded = self.control.loaded()
        if loaded is None and test.ok:
            return [*problems, self._why_silent()]
        if loaded not in (None, self._rendering().fingerprint):
            problems.append(
                "nginx serves another configuration than mina-ops.toml asks for: run "
                "`mina-ops traffic install`."
            )
        try:
            self._served_and_stored()
        except TrafficError as error:
            problems.append(str(error))
        return problems

    def sessions(self) -> int | None:
        """Websockets that nginx can carry at once, as its configuration says."""
        return self._dump().sessions()

    def read(self) -> Reading:
        """The split as nginx's workers see it: generation, every bucket, every user by name."""
        for _ in range(_READ_TRIES):
            value = self.control.split()
            require_colours("nginx", list(value.get("percent", {})), self._colours)
            second = self._colours[1]
            share = len(self.control.names(second))
            cohorts = {
                user: colour
                for colour in self._colours
                for user in self.control.names("cohorts", colour)
            }
            releases = {
                colour: release
                for colour in self._colours
                for release in self.control.names("releases", colour)
            }
            mirror = self._mirror(value)
            # Several requests see one split only if it was the same before and after.
            if self.control.generation() == value["generation"]:
                percent = {self._colours[0]: 100 - share, second: share}
                split = Split(percent, cohorts, releases, mirror)
                return Reading(split, int(value["generation"]))
        raise TrafficError("Traffic kept changing while it was read; somebody else is switching.")

    def apply(self, split: Split) -> Applied:
        """One rename, then nginx is asked until it serves the new generation."""
        started = time.monotonic()
        with self._store.lock():
            before = self._served_and_stored()
            if before.split != split or split.mirror is not None:
                self._replace(before.generation, self._store.write(split))
            after = self.read()
        if after.split != split:
            raise TrafficError(
                f"nginx serves {after.split.describe()} where {split.describe()} was applied; "
                "run `mina-ops traffic check`."
            )
        return Applied(before.split, after, (time.monotonic() - started) * 1000)

    def keep(self, split: Split) -> None:
        """Put in place below the state folder; nginx looks there with its first request."""
        with self._store.lock():
            stored = self._store.current()
            if stored is None or stored.split != split:
                self._store.activate(self._store.write(split))

    def plan(self, split: Split) -> list[str]:
        """What `apply` would do."""
        return [
            f"write {split.describe()} below {self._options.state / 'splits'}",
            f"rename {self._options.state / 'current'} to it (no reload)",
            f"ask {self.control.address} until nginx serves it",
        ]

    def render(self) -> dict[str, str]:
        """The one file to include inside `http { }`."""
        return {str(self._options.config): self._rendering().text}

    def install(self) -> list[str]:
        """Configuration written, tested, reloaded and seen to serve; a first split if none is."""
        main = self._options.main
        installation = Installation(
            name="nginx",
            config=self._options.config,
            rendering=self._rendering(),
            test=lambda: programs.run(self._command("-t")),
            reload=lambda: programs.run(self._command("-s", "reload")),
            loaded=self.control.loaded,
            words=ErrorLog(self._dump().error_log()).words,
            testable=main is None or main.exists(),
        )
        with self._store.lock():
            return self._write_first_split() + installation.run()

    def _mirror(self, split: dict[str, Any]) -> Mirror | None:
        """What nginx's workers copy now; nothing once the mirror's time is over."""
        told = split.get("mirror")
        if told is None or not self.control.mirrors():
            return None
        percent = len(self.control.names("mirror", str(told["to"])))
        return replace(Mirror.from_json(told), percent=percent)

    def _state_lock(self) -> StateLock:
        return StateLock(self._options.state / "holder.json")

    def _replace(self, earlier: int, generation: int) -> None:
        self._store.activate(generation)
        seconds = patient(_SERVED_SECONDS)
        served = self.control.wait_for(lambda: self.control.generation() == generation, seconds)
        if not served:
            self._store.activate(earlier)
            raise TrafficError(
                f"nginx did not serve the new split within {seconds:g} s; the earlier "
                "one is back. Run `mina-ops traffic check`."
            )
        self._store.prune()

    def _served_and_stored(self) -> Reading:
        """The split that is stored and, as must be, served; asked before anything is changed."""
        served = self.control.generation()
        stored = self._store.current()
        if stored is None or stored.generation != served:
            found = stored.generation if stored else "none"
            raise TrafficError(
                f"nginx serves split {served}, {self._options.state} holds {found}: it looks at "
                "another folder. Run `mina-ops traffic install`."
            )
        return Reading(stored.split, served)

    def _write_first_split(self) -> list[str]:
        if self._store.current() is not None:
            return []
        split = Split.all_to(self._colours[0], self._colours)
        self._store.activate(self._store.write(split))
        return [f"first split: {split.describe()}"]

    def _dump(self) -> NginxDump:
        dump = programs.run(self._command("-T")).stdout
        built_in = programs.run(self._command("-V")).stderr
        return NginxDump(dump, built_in, self._options.prefix)

    def _main(self) -> str:
        return str(self._options.main or "nginx.conf")

    def _why_silent(self) -> str:
        """Why nobody answers at the control address although the configuration is fine."""
        config = self._options.config
        if self._rendering().fingerprint not in self._dump().text:
            return (
                f"{self._main()} does not include {config}, as this site wants it: add the line "
                f"`include {config};` inside its `http {{ }}`, and run `mina-ops traffic install`."
            )
        return (
            f"nginx does not answer at its control address {self.control.address}: it is not "
            "running, or was not reloaded since. Start it, as `systemctl start nginx`."
        )

    def _rendering(self) -> Rendering:
        more = {
            "copy_status": _COPY_STATUS,
            "copies_at_once": MOST_AT_ONCE,
            "mirror_header": HEADER,
        }
        return render("mina.conf.j2", self._settings, self._options, more)

    def _command(self, *action: str) -> list[str]:
        if action == ("-t",) and self._options.test:
            return list(self._options.test)
        if action == ("-s", "reload") and self._options.reload:
            return list(self._options.reload)
        argv = [programs.find(self._options.program, _ADVICE)]
        argv += ["-p", str(self._options.prefix)] if self._options.prefix else []
        argv += ["-c", str(self._options.main)] if self._options.main else []
        return [*argv, *action]
