"""The traffic port on one HAProxy: the map's file first, then its runtime."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from mina_ops import files
from mina_ops.errors import ConfigurationError, OperatorError, ToolMissing, TrafficError
from mina_ops.locks import exclusive
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.system import programs
from mina_ops.operator.system.programs import Result
from mina_ops.operator.traffic import mirror
from mina_ops.operator.traffic.base import Applied, Reading, TrafficDriver
from mina_ops.operator.traffic.haproxy.options import Endpoint, HaproxyOptions
from mina_ops.operator.traffic.haproxy.runtime import HaproxyRuntime
from mina_ops.operator.traffic.haproxy.streams import long_requests
from mina_ops.operator.traffic.installation import Installation
from mina_ops.operator.traffic.model import Split, require_colours
from mina_ops.operator.traffic.state_lock import StateLock
from mina_ops.operator.traffic.templates import Rendering, render

_COLOURS = ".colours"
_RELEASE = ".release."
_PERSIST_SECONDS = 20.0
_READABLE = 0o644
_ADVICE = "Install HAProxy 2.6 or newer, or set traffic.haproxy.program."


class HaproxyDriver(TrafficDriver):
    """One HAProxy; see the port for what each method promises."""

    def __init__(
        self, settings: OperatorSettings, options: HaproxyOptions, endpoint: Endpoint
    ) -> None:
        first, second = settings.colours
        self.name = endpoint.name
        self._settings = settings
        self._options = options
        self._endpoint = endpoint
        self._colours = (first, second)
        self._runtime = HaproxyRuntime(endpoint, options.map)

    def check(self) -> list[str]:
        """What is wrong, one sentence each; also runs `haproxy -c`."""
        problems = []
        is_local = not self._endpoint.persist
        if is_local:
            problems += self._refused()
        if is_local and not os.access(self._options.state, os.W_OK):
            problems.append(f"{self._options.state} cannot be written; traffic could not change.")
        try:
            served = self.read()
        except TrafficError as error:
            start = f" Start it: `haproxy -W -f {self._options.config}`, as systemd does."
            return [*problems, f"{error}{start if is_local else ''}"]
        if self._runtime.loaded() != self._rendering().fingerprint:
            problems.append(
                f"HAProxy {self.name} runs another configuration than mina-ops.toml asks for: "
                "run `mina-ops traffic install`."
            )
        if is_local and self._kept() != self._entries(served.split, served.generation):
            problems.append(
                f"{self._options.map} holds another split than HAProxy {self.name} serves, which "
                "a restart would read; apply the split again."
            )
        return problems

    def sessions(self) -> int | None:
        """Websockets that HAProxy can carry at once: what it says of itself (`maxconn`)."""
        return self._runtime.most_connections()

    def long_requests(self, colour: str) -> int | None:
        """Counted from its list of requests (`show sess`)."""
        return long_requests(self._runtime.command("show sess"), self._colours, colour)

    def read(self) -> Reading:
        """The split in the map that HAProxy looks requests up in."""
        entries = self._runtime.entries()
        if _COLOURS in entries:
            require_colours("HAProxy", entries[_COLOURS].split(","), self._colours)
        try:
            share = int(entries[".percent"])
            cohorts = {key: value for key, value in entries.items() if not key.startswith(".")}
            pins = {key: value for key, value in entries.items() if key.startswith(_RELEASE)}
            releases = {colour: key.removeprefix(_RELEASE) for key, colour in pins.items()}
            percent = {self._colours[0]: 100 - share, self._colours[1]: share}
            split = Split(percent, cohorts, releases)
            return Reading(split, int(entries[".generation"]))
        except (KeyError, ValueError, ConfigurationError) as exc:
            raise TrafficError(
                f"The map {self._options.map} of HAProxy {self.name} holds no split; put it "
                "right, or remove it and run `mina-ops traffic install`."
            ) from exc

    def apply(self, split: Split) -> Applied:
        """The file, then the runtime, then the runtime is read."""
        mirror.refuse("haproxy", split.mirror)
        started = time.monotonic()
        with exclusive(self._lock_file()):
            before = self.read()
            served = self._entries(before.split, before.generation)
            if before.split != split:
                self._replace(served, self._entries(split, before.generation + 1))
            elif not self._endpoint.persist and self._kept() != served:
                self._keep(served)
            after = self.read()
        if after.split != split:
            raise TrafficError(
                f"HAProxy {self.name} serves {after.split.describe()} where {split.describe()} "
                "was applied; run `mina-ops traffic check`."
            )
        return Applied(before.split, after, (time.monotonic() - started) * 1000)

    def keep(self, split: Split) -> None:
        """Written into the map that HAProxy reads at its start."""
        if self._endpoint.persist:
            super().keep(split)
        with exclusive(self._lock_file()):
            generation = (self._kept() or {}).get(".generation", "0")
            self._keep(self._entries(split, int(generation) + 1))

    def plan(self, split: Split) -> list[str]:
        """What `apply` would do."""
        mirror.refuse("haproxy", split.mirror)
        keep = programs.quoted(self._endpoint.persist) or f"write {self._options.map}"
        return [
            f"{keep}  # {split.describe()}",
            f"commit the same map at {self._endpoint.socket} (no reload), then read it",
        ]

    def render(self) -> dict[str, str]:
        """The one whole configuration file."""
        return {str(self._options.config): self._rendering().text}

    def install(self) -> list[str]:
        """Configuration written, tested, reloaded and seen to run; a first map if none is."""
        if self._endpoint.persist:
            raise ConfigurationError(
                f"HAProxy {self.name} is on another host: put the text of `mina-ops traffic "
                "render` there, and reload it."
            )
        installation = Installation(
            name="HAProxy",
            config=self._options.config,
            rendering=self._rendering(),
            test=self._test,
            reload=self._reload,
            loaded=self._runtime.loaded,
        )
        with exclusive(self._lock_file()):
            return self._write_first_map() + installation.run()

    def _state_lock(self) -> StateLock | None:
        if self._endpoint.persist:
            return None
        return StateLock(self._options.state / f"{self.name}.holder.json")

    def _replace(self, earlier: Mapping[str, str], entries: Mapping[str, str]) -> None:
        self._keep(entries)
        try:
            self._runtime.replace(entries)
            if self._runtime.entries() != entries:
                raise TrafficError(f"HAProxy {self.name} took the new map and does not use it.")
        except TrafficError:
            self._keep(earlier)
            self._restore(earlier)
            raise

    def _restore(self, earlier: Mapping[str, str]) -> None:
        try:
            if self._runtime.entries() != earlier:
                self._runtime.replace(earlier)
        except TrafficError:
            # It does not answer: what it reads at its next start is the earlier map.
            return

    def _keep(self, entries: Mapping[str, str]) -> None:
        text = "".join(f"{key} {value}\n" for key, value in entries.items())
        if not self._endpoint.persist:
            self._write(text)
            return
        result = programs.run(
            self._endpoint.persist, text_in=text, timeout_seconds=_PERSIST_SECONDS
        )
        if not result.ok:
            raise TrafficError(
                f"HAProxy {self.name} could not keep the new split for its next start: "
                f"{result.last_line()}. Traffic is as it was."
            )

    def _write(self, text: str) -> None:
        try:
            files.write(self._options.map, text, _READABLE)
        except OperatorError as exc:
            raise TrafficError(f"{exc} Traffic is as it was.") from exc

    def _kept(self) -> dict[str, str] | None:
        try:
            lines = self._options.map.read_text(encoding="utf-8").splitlines()
        except OSError:
            return None
        return {key: value for key, _, value in (line.partition(" ") for line in lines)}

    def _entries(self, split: Split, generation: int) -> dict[str, str]:
        share = split.percent[self._colours[1]]
        releases = {_RELEASE + release: colour for colour, release in split.releases.items()}
        head = {".generation": str(generation), ".percent": str(share)}
        head[_COLOURS] = ",".join(self._colours)
        return {**head, **releases, **split.cohorts}

    def _write_first_map(self) -> list[str]:
        if self._kept() is not None:
            return []
        split = Split.all_to(self._colours[0], self._colours)
        self._options.state.mkdir(parents=True, exist_ok=True)
        self._keep(self._entries(split, 1))
        return [f"first split: {split.describe()}"]

    def _refused(self) -> list[str]:
        """Why the configuration would not be loaded again; [] where HAProxy is not on this host."""
        try:
            test = self._test()
        except ToolMissing:
            return []
        return [] if test.ok else [f"HAProxy refuses its configuration: {test.reason()}"]

    def _test(self) -> Result:
        program = programs.find(self._options.program, _ADVICE)
        return programs.run([program, "-c", "-f", self._options.config])

    def _reload(self) -> Result:
        if self._options.reload:
            return programs.run(self._options.reload)
        pid_file = self._options.pid_file
        if pid_file is None:
            return Result((), 1, "", "neither traffic.haproxy.reload nor pid_file is set")
        argv = ("kill", "-USR2", str(pid_file))
        try:
            # The first one is the master, which starts new workers and lets the old ones finish.
            os.kill(int(pid_file.read_text().split()[0]), signal.SIGUSR2)
        except (OSError, ValueError, IndexError) as exc:
            return Result(argv, 1, "", f"{pid_file} names no running HAProxy ({exc})")
        return Result(argv, 0, "", "")

    def _rendering(self) -> Rendering:
        return render("haproxy.cfg.j2", self._settings, self._options, self._names())

    def _names(self) -> dict[str, str]:
        options = self._options
        cookie, header = options.user_cookie, options.user_header
        sample = f"req.cook({cookie})" if cookie else f"req.fhdr({header})"
        return {"user_sample": sample, "onward": str(options.map.parent / "onward")}

    def _lock_file(self) -> Path:
        return self._options.state / f"{self.name}.lock"
