"""The traffic port on any platform's own command line.

A platform that only knows "all to this one" gets `switch`; one with shares gets `weight`; one
that takes everything gets `apply`, with the split as JSON on standard input. `read` is a command
that prints such a split. Without it the public address tells which colour answers; shares
cannot be proven that way, and readings say so.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mina_ops import files
from mina_ops.errors import ConfigurationError, OperatorError, ToolMissing, TrafficError
from mina_ops.fields import NUMBER, PATH, TEXT, TEXTS, setting
from mina_ops.locks import exclusive
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.config.tables import Table
from mina_ops.operator.system import programs
from mina_ops.operator.traffic import mirror
from mina_ops.operator.traffic.base import Applied, Reading, TrafficDriver
from mina_ops.operator.traffic.model import Split, require_colours
from mina_ops.operator.traffic.state_lock import StateLock

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_NAMES = ("from", "to", "from_colour", "to_colour", "percent", "from_percent")
_COMMANDS = ("switch", "weight", "apply", "read")
_READABLE = 0o644
# The playbook's own lines; {from} and {to} are the first alias of a colour, such as mina-blue.
PRESETS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "replit": {
        "switch": (
            *("replit", "deployments", "switch", "--from", "{from}", "--to", "{to}"),
            "--confirm",
        ),
    },
}


@dataclass(frozen=True, kw_only=True)
class CommandOptions:
    """The table `[traffic.command]`; a command is a list of arguments, () where there is none."""

    preset: str = setting(
        "none",
        TEXT,
        '`"replit"`: `replit deployments switch --from mina-blue --to mina-green --confirm`',
        choices=("none", *PRESETS),
    )
    switch: tuple[str, ...] = setting((), TEXTS, "command for everybody to one colour")
    weight: tuple[str, ...] = setting((), TEXTS, "command for shares")
    apply: tuple[str, ...] = setting(
        (), TEXTS, "command that takes the whole split as JSON on standard input"
    )
    read: tuple[str, ...] = setting(
        (),
        TEXTS,
        "command that prints the split as JSON; without it the public `/api/health` tells who "
        "answers",
    )
    state: Path = setting(Path(".mina-ops-split.json"), PATH, "file with what was applied last")
    seconds: float = setting(
        120.0,
        NUMBER,
        "how long a command may run, and how long the public address may take to follow",
        "seconds",
        least=1,
        most=3600,
    )


def open_driver(settings: OperatorSettings) -> TrafficDriver:
    """The driver for `[traffic.command]`; does no I/O."""
    return CommandDriver(settings, read_options(settings.section("traffic", "command")))


def read_options(table: Table) -> CommandOptions:
    """The options of the table; its own commands come before those of a preset.

    Raises:
        ConfigurationError: a key is unknown, of the wrong type, or no command is given.
    """
    options = table.fill(CommandOptions)
    preset = PRESETS.get(options.preset, {})
    missing: Any = {key: argv for key, argv in preset.items() if not getattr(options, key)}
    options = replace(options, **missing)
    for key in _COMMANDS:
        unknown = set(_PLACEHOLDER.findall(" ".join(getattr(options, key)))) - set(_NAMES)
        if unknown:
            raise table.wrong(
                key, f"unknown {{{min(unknown)}}}; known: {', '.join(f'{{{n}}}' for n in _NAMES)}."
            )
    if not (options.switch or options.weight or options.apply):
        raise table.wrong("switch", "give switch, weight or apply, or preset = 'replit'.")
    return options


class CommandDriver(TrafficDriver):
    """A platform behind its own commands; sessions and handshakes are the platform's affair.

    Args:
        wait: pause between two looks at the public address.
    """

    name = "command"

    def __init__(
        self,
        settings: OperatorSettings,
        options: CommandOptions,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._options = options
        self._wait = wait

    def check(self) -> list[str]:
        """Whether every command's program is there and traffic can be read."""
        options = self._options
        for argv in (options.switch, options.weight, options.apply, options.read):
            if argv:
                programs.find(argv[0], "It is the command of [traffic.command].")
        try:
            self.read()
        except TrafficError as error:
            return [str(error)]
        return []

    def read(self) -> Reading:
        """What the platform says; without `read`, what was applied last and who answers."""
        stored, generation = self._stored()
        if self._options.read:
            return Reading(self._read_command(), generation)
        serving = self._serving()
        if stored is None or not stored.percent[serving]:
            return Reading(Split.all_to(serving, self._settings.colours), generation, proven=False)
        whole = stored.percent[serving] == 100 and not stored.cohorts
        return Reading(stored, generation, proven=whole)

    def apply(self, split: Split) -> Applied:
        """The command, then the platform or the public address is asked until it follows."""
        mirror.refuse(self.name, split.mirror)
        started = time.monotonic()
        if not self._options.apply:
            # Only a command that takes the whole split can keep pages with their release.
            split = replace(split, releases={})
        with exclusive(self._options.state.with_suffix(".lock")):
            before = self.read()
            _, generation = self._stored()
            if before.split == split and before.proven:
                return Applied(split, before, 0.0)
            argv, text = self._command(split)
            try:
                self._run(argv, text)
                self._follow(split)
                self._store(split, generation + 1)
            except ToolMissing:
                raise
            except OperatorError as error:
                raise self._undone(before.split, error) from error
        return Applied(before.split, self.read(), (time.monotonic() - started) * 1000)

    def plan(self, split: Split) -> list[str]:
        """The command that would be run, quoted for a shell."""
        mirror.refuse(self.name, split.mirror)
        argv, text = self._command(split)
        line = programs.quoted(argv)
        return [f"{line} <<< {programs.quoted([text])}" if text else line]

    def _state_lock(self) -> StateLock:
        return StateLock(self._options.state.with_suffix(".holder.json"))

    def _command(self, split: Split) -> tuple[list[str], str]:
        """Argument vector and standard input for a split."""
        options = self._options
        if options.apply:
            return self._filled(options.apply, split), json.dumps(split.to_json())
        if split.cohorts:
            raise ConfigurationError(
                f"{self._settings.file}: traffic.command: users by name need `apply`, a command "
                "that takes the whole split as JSON on standard input."
            )
        if options.switch and 100 in split.percent.values():
            return self._filled(options.switch, split), ""
        if options.weight:
            return self._filled(options.weight, split), ""
        raise ConfigurationError(
            f"{self._settings.file}: traffic.command: a share of {split.describe()} needs "
            "`weight` or `apply`; this platform can only switch all at once (--instant)."
        )

    def _filled(self, argv: tuple[str, ...], split: Split) -> list[str]:
        to = max(self._settings.colours, key=lambda name: split.percent[name])
        if 100 not in split.percent.values():
            to = list(self._settings.colours)[1]
        source, target = self._settings.other(to), self._settings.colour(to)
        values = {
            "from": (source.aliases or (source.name,))[0],
            "to": (target.aliases or (target.name,))[0],
            "from_colour": source.name,
            "to_colour": target.name,
            "percent": str(split.percent[target.name]),
            "from_percent": str(split.percent[source.name]),
        }
        return [_PLACEHOLDER.sub(lambda match: values[match[1]], part) for part in argv]

    def _run(self, argv: list[str], text: str = "") -> str:
        result = programs.run(argv, text_in=text, timeout_seconds=self._options.seconds)
        if not result.ok:
            raise TrafficError(f"`{programs.quoted(argv)}` failed: {result.last_line()}")
        return result.stdout

    def _follow(self, split: Split) -> None:
        """Wait until what can be seen of a split is so."""
        deadline = time.monotonic() + self._options.seconds
        while not self._is_followed(split):
            if time.monotonic() > deadline:
                raise TrafficError(
                    f"The command ended well and after {self._options.seconds:g} s traffic is "
                    f"not {split.describe()}."
                )
            self._wait(0.2)

    def _is_followed(self, split: Split) -> bool:
        if self._options.read:
            found = self._read_command()
            # A platform that cannot keep pages with their release takes the rest of it.
            return found == (split if found.releases else replace(split, releases={}))
        return split.percent[self._serving()] > 0

    def _undone(self, before: Split, error: OperatorError) -> TrafficError:
        try:
            self._run(*self._command(before))
        except OperatorError as again:
            return TrafficError(
                f"{error} Going back to {before.describe()} failed as well: {again} Look at the "
                "platform."
            )
        return TrafficError(f"{error} {before.describe()} was ordered again.")

    def _read_command(self) -> Split:
        out = self._run(list(self._options.read))
        try:
            value = json.loads(out)
            # `mina-ops traffic read --json` wraps it.
            found = Split.from_json(value.get("split", value))
        except (AttributeError, ValueError, ConfigurationError) as exc:
            raise TrafficError(
                f"`{programs.quoted(self._options.read)}` must print a split as JSON, such as "
                '{"percent": {"blue": 90, "green": 10}}.'
            ) from exc
        return self._ours("The platform", found)

    def _ours(self, who: str, found: Split) -> Split:
        """The split with the colours in the order of mina-ops.toml, which has just these."""
        colours = self._settings.colours
        require_colours(who, sorted(found.percent), sorted(colours))
        return replace(found, percent={name: found.percent[name] for name in colours})

    def _serving(self) -> str:
        """The colour that the public address answers with."""
        from mina_ops.operator.api.client import AppClient

        url = self._settings.public_url
        try:
            with AppClient("The public address", url) as client:
                return self._settings.colour(client.health().environment).name
        except OperatorError as exc:
            raise TrafficError(str(exc)) from exc
        except ConfigurationError as exc:
            raise TrafficError(f"{url} answers as an unknown colour. {exc}") from exc

    def _stored(self) -> tuple[Split | None, int]:
        try:
            value = json.loads(self._options.state.read_text(encoding="utf-8"))
            stored, generation = Split.from_json(value), int(value["generation"])
        except FileNotFoundError:
            return None, 0
        except (OSError, ValueError, KeyError, TypeError, ConfigurationError) as exc:
            raise TrafficError(
                f"{self._options.state} cannot be read as a split; remove it and try again."
            ) from exc
        return self._ours(str(self._options.state), stored), generation

    def _store(self, split: Split, generation: int) -> None:
        value = {"generation": generation, **split.to_json()}
        files.write(self._options.state, json.dumps(value), _READABLE)
