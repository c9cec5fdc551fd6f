"""The traffic port on one Envoy of this host."""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path

from mina_ops import files
from mina_ops.errors import OperatorError, ToolMissing, TrafficError
from mina_ops.locks import exclusive
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.system import programs
from mina_ops.operator.system.patience import patient
from mina_ops.operator.system.programs import Result
from mina_ops.operator.traffic.base import Applied, Reading, TrafficDriver
from mina_ops.operator.traffic.envoy import configuration, routes
from mina_ops.operator.traffic.envoy.admin import EnvoyAdmin
from mina_ops.operator.traffic.envoy.options import EnvoyOptions, read_options
from mina_ops.operator.traffic.envoy.store import EnvoyStore
from mina_ops.operator.traffic.installation import Installation
from mina_ops.operator.traffic.model import Split
from mina_ops.operator.traffic.state_lock import StateLock
from mina_ops.waiting import wait_until

_SERVED_SECONDS = 2.0
_POLL_SECONDS = 0.005
_READABLE = 0o644
_ADVICE = "Install Envoy 1.30 or newer, or set traffic.envoy.program."


class EnvoyDriver(TrafficDriver):
    """A stock Envoy; see the port for what each method promises."""

    name = "envoy"

    def __init__(self, settings: OperatorSettings, options: EnvoyOptions) -> None:
        first, second = settings.colours
        self._settings = settings
        self._options = options
        self._colours = (first, second)
        self._store = EnvoyStore(options, self._colours)
        self._admin = EnvoyAdmin(options.admin)

    @classmethod
    def from_settings(cls, settings: OperatorSettings) -> EnvoyDriver:
        """The driver for `[traffic.envoy]`; does no I/O."""
        return cls(settings, read_options(settings.section("traffic", "envoy")))

    def check(self) -> list[str]:
        """What is wrong, one sentence each; also runs `envoy --mode validate`."""
        problems = self._refused()
        if not os.access(self._options.state, os.W_OK):
            problems.append(f"{self._options.state} cannot be written; traffic could not change.")
        try:
            started_with = self._admin.bootstrap()
        except TrafficError as error:
            return [*problems, f"{error} Start it: `{self._start()}`."]
        if started_with != configuration.bootstrap(self._options).fingerprint:
            problems.append(
                "Envoy was started with another file than mina-ops.toml asks for: run "
                f"`mina-ops traffic install`, then start Envoy anew, as `{self._start()}`."
            )
        problems += self._admin.problems()
        if self._admin.loaded() != configuration.site(self._settings, self._options).fingerprint:
            problems.append(
                "Envoy serves another configuration than mina-ops.toml asks for: run "
                "`mina-ops traffic install`."
            )
        try:
            if self._store.current() != self._read():
                problems.append(
                    f"{self._options.live} holds another split than Envoy serves, which a start "
                    "would read; apply the split again."
                )
        except TrafficError as error:
            problems.append(str(error))
        return problems

    def sessions(self) -> int | None:
        """Websockets that Envoy can carry at once: the most connections that it says it takes."""
        return self._admin.most_connections()

    def read(self) -> Reading:
        """The split in the routes that Envoy serves."""
        split, generation = self._read()
        return Reading(split, generation, detail={"unhealthy": self._admin.unhealthy()})

    def apply(self, split: Split) -> Applied:
        """One rename, then Envoy is asked until it serves the new generation."""
        started = time.monotonic()
        with exclusive(self._lock_file()):
            before, generation = self._read()
            if before != split or split.mirror is not None:
                self._replace(before, split, generation)
            elif self._store.current() != (before, generation):
                self._store.write(split, generation)
            after = self.read()
        if after.split != split:
            raise TrafficError(
                f"Envoy serves {after.split.describe()} where {split.describe()} was applied; "
                "run `mina-ops traffic check`."
            )
        return Applied(before, after, (time.monotonic() - started) * 1000)

    def keep(self, split: Split) -> None:
        """Written into the routes that Envoy reads at its start."""
        with exclusive(self._lock_file()):
            stored = self._store.current()
            if stored is None or stored[0] != split:
                self._store.write(split, 1 + (stored[1] if stored else 0))

    def plan(self, split: Split) -> list[str]:
        """What `apply` would do."""
        return [
            f"write {split.describe()} into {self._options.live / 'routes.json'} (no reload)",
            f"ask {self._options.admin} until Envoy serves it",
        ]

    def render(self) -> dict[str, str]:
        """What Envoy starts with, and the whole site."""
        return {
            str(self._options.bootstrap): configuration.bootstrap(self._options).text,
            str(self._options.site): configuration.site(self._settings, self._options).text,
        }

    def install(self) -> list[str]:
        """Files written, tested by Envoy and seen to serve; a first split if none is."""
        installation = Installation(
            name="Envoy",
            config=self._options.site,
            rendering=configuration.site(self._settings, self._options),
            test=self._test,
            reload=self._publish,
            loaded=self._admin.loaded,
            words=self._admin.words,
        )
        with exclusive(self._lock_file()):
            return self._write_bootstrap() + installation.run()

    def _state_lock(self) -> StateLock:
        return StateLock(self._options.state / "holder.json")

    def _read(self) -> tuple[Split, int]:
        return routes.from_data(self._admin.data(), self._colours)

    def _replace(self, before: Split, split: Split, earlier: int) -> None:
        generation = earlier + 1
        self._store.write(split, generation)
        seconds = patient(_SERVED_SECONDS)
        if wait_until(lambda: self._serves(generation), seconds, pause=_POLL_SECONDS):
            return
        self._store.write(before, earlier)
        raise TrafficError(
            f"Envoy did not serve the new split within {seconds:g} s; the earlier one is back. "
            "Run `mina-ops traffic check`."
        )

    def _serves(self, generation: int) -> bool:
        try:
            return self._read()[1] == generation
        except TrafficError:
            return False

    def _write_bootstrap(self) -> list[str]:
        """What Envoy starts with; and word of it if it runs with something else."""
        rendering, file = configuration.bootstrap(self._options), self._options.bootstrap
        if file.exists() and file.read_text(encoding="utf-8") == rendering.text:
            return []
        files.write(file, rendering.text, _READABLE)
        return [f"wrote {file}: start Envoy anew with it, `{self._start()}`"]

    def _publish(self) -> Result:
        """Put the installed site where Envoy looks, with the split that is served."""
        try:
            published = self._store.publish()
            self._admin.bootstrap()
        except OperatorError as error:
            return Result((), 1, "", str(error))
        return Result((), 0, published, "")

    def _refused(self) -> list[str]:
        """Why Envoy would not take the configuration again; [] where it is not on this host."""
        try:
            test = self._test(configuration.site(self._settings, self._options).text)
        except ToolMissing:
            return []
        return [] if test.ok else [f"Envoy refuses its configuration: {test.reason()}"]

    def _test(self, text: str | None = None) -> Result:
        """Envoy's own test of the installed site, or of this one."""
        text = text or self._options.site.read_text(encoding="utf-8")
        split = Split.all_to(self._colours[0], self._colours)
        whole = configuration.whole(self._options, json.loads(text), split)
        program = programs.find(self._options.program, _ADVICE)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(whole)
            file.flush()
            return programs.run([program, "--mode", "validate", "-l", "error", "-c", file.name])

    def _start(self) -> str:
        return f"envoy -c {self._options.bootstrap}"

    def _lock_file(self) -> Path:
        return self._options.state / "lock"
