"""What a release does, read from `[release]` of mina-ops.toml. Pure but for the file's path."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

from mina_ops.fields import NUMBER, PATH, TEXT, TEXTS, WHOLE, WHOLES, setting
from mina_ops.operator.config.colours import Colour
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.config.tables import Table
from mina_ops.operator.release.model import FORWARD, Phase
from mina_ops.operator.release.verdicts import triggers
from mina_ops.operator.release.verdicts.model import Triggers
from mina_ops.operator.traffic import mirror

STRATEGIES = ("canary", "instant", "cohort")
NO_DATA = ("pause", "continue", "rollback")
PRESETS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "none": {},
    "replit": {
        "start": (
            "replit deployments create --name {to_name} --version {version} --env production",
            "replit deployments start {to_name}",
        ),
        "scale": ("replit deployments scale {to_name} --instances {instances}",),
        "rolled_back": ("replit deployments scale {from_name} --instances {instances}",),
    },
    "systemd": {
        "start": ("systemctl restart {to_name}",),
    },
}
_ACTIONS = ("checks", "backup", "migrate", "start", "smoke", "stop", "scale")
_BEFORE_AFTER = tuple(f"{when}_{phase}" for when in ("before", "after") for phase in FORWARD)
HOOKS = (*_ACTIONS, *_BEFORE_AFTER, "rolled_back")


@dataclass(frozen=True)
class Load:
    """The table `[release.load]`: what a release sends to both colours itself while it watches."""

    # fmt: off
    per_second: float = setting(0.0, NUMBER,
        "Requests to each colour; 0: none.", "a second", least=0, most=100)
    paths: tuple[str, ...] = setting(("/",), TEXTS,
        "What is asked for, by GET, in turn. Take what your users do.")
    handshakes_per_second: float = setting(0.1, NUMBER,
        "Socket.IO handshakes to each colour, where the site has any.", "a second",
        least=0, most=100)
    # fmt: on


@dataclass(frozen=True)
class Plan:
    """A release's plan: the table `[release]` of mina-ops.toml.

    `hooks` are lists of commands. `approvals` maps a phase to the seconds that somebody has to
    promote it before the release is given up. `hotfix` is asked for on the command line: one ready
    process of the old colour is enough then.
    """

    # fmt: off
    folder: Path = setting(Path("releases"), PATH,
        "Journals and the lock.")
    strategy: str = setting("canary", TEXT,
        "`canary`: the steps; `instant`: all at once; `cohort`: see there.", choices=STRATEGIES)
    steps: tuple[int, ...] = setting((10, 25, 50, 100), WHOLES,
        "The new colour's shares, rising to 100.", "percent")
    cohort: tuple[str, ...] = setting((), TEXTS,
        "User ids that get the new colour first, then all; needed by `cohort`.")
    shadow_seconds: float = setting(0.0, NUMBER,
        "How long GETs are mirrored to the new colour, and judged, before its first visitor; 0: "
        "not at all. nginx and Envoy can.", "seconds", least=0, most=86_400)
    shadow_percent: int = setting(100, WHOLE,
        "How many of the GETs.", "percent", least=1, most=100)
    step_seconds: float = setting(600.0, NUMBER,
        "Least time at each share.", "seconds", least=0)
    look_seconds: float = setting(1.0, NUMBER,
        "Pause between two looks at both colours.", "seconds", least=0.05, most=60)
    patience_seconds: float = setting(900.0, NUMBER,
        "How much longer it waits for missing figures.", "seconds", least=0)
    no_data: str = setting("pause", TEXT,
        "Then: `pause` (page a person and wait), `continue` or `rollback`.", choices=NO_DATA)
    health_seconds: float = setting(120.0, NUMBER,
        "How long the new colour may take to become ready.", "seconds", least=1)
    health_looks: int = setting(3, WHOLE,
        "So many times in a row it must be ready.", "looks", least=1)
    watch_seconds: float = setting(900.0, NUMBER,
        "How long it is watched with all traffic on it.", "seconds", least=0)
    drain_grace_seconds: float = setting(30.0, NUMBER,
        "Grace for the live sessions of a colour that is drained.", "seconds",
        least=0, most=86_400)
    gradual_percent: int = setting(75, WHOLE,
        "What a gradual rollback gives the old colour first.", "percent", least=1, most=100)
    gradual_seconds: float = setting(60.0, NUMBER,
        "How long it watches then before all goes back.", "seconds", least=0)
    ready_seconds: float = setting(20.0, NUMBER,
        "How long a rollback tries before it ends with exit code 7.", "seconds",
        least=0, most=600)
    hook_seconds: float = setting(900.0, NUMBER,
        "Limit for each command; then it is ended.", "seconds", least=1)
    instances: int = setting(4, WHOLE,
        "`{instances}` in commands.", "processes", least=1)
    warm_up: tuple[str, ...] = setting(("/api/health", "/api/flags"), TEXTS,
        "Paths that are asked of the new colour before it is judged.")
    # fmt: on
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    approvals: Mapping[str, float] = field(default_factory=dict)
    triggers: Triggers = field(default_factory=Triggers)
    load: Load = field(default_factory=Load)
    hotfix: bool = False

    def shares(self) -> tuple[int, ...]:
        """The new colour's shares, one after the other; a cohort's release begins with 0."""
        if self.strategy == "instant":
            return (100,)
        return (0, 100) if self.strategy == "cohort" else self.steps

    def commands(self, hook: str, words: Mapping[str, str]) -> list[list[str]]:
        """The argument vectors of a hook, with `{version}`, `{to}` and the like filled in."""
        return [
            [part.format_map(words) for part in shlex.split(line)]
            for line in self.hooks.get(hook, ())
        ]


@dataclass(frozen=True)
class Choices:
    """What is chosen on the command line for one release; None: as the plan says.

    They are kept in its journal, since `release resume` must go on with the same.
    """

    hotfix: bool = False
    load_per_second: float | None = None
    shadow_seconds: float | None = None

    def applied(self, plan: Plan) -> Plan:
        """The plan with these choices."""
        rate = plan.load.per_second if self.load_per_second is None else self.load_per_second
        seconds = plan.shadow_seconds if self.shadow_seconds is None else self.shadow_seconds
        load = replace(plan.load, per_second=rate)
        return replace(plan, hotfix=self.hotfix, load=load, shadow_seconds=seconds)

    def to_json(self) -> dict[str, bool | float]:
        """What was chosen, as the journal keeps it; {} if nothing was."""
        chosen: dict[str, bool | float] = {"hotfix": True} if self.hotfix else {}
        if self.load_per_second is not None:
            chosen["load"] = self.load_per_second
        if self.shadow_seconds is not None:
            chosen["shadow"] = self.shadow_seconds
        return chosen

    @classmethod
    def from_json(cls, raw: Mapping[str, bool | float]) -> Choices:
        """What `to_json` wrote."""
        return cls(bool(raw.get("hotfix", False)), raw.get("load"), raw.get("shadow"))


def read(settings: OperatorSettings, choices: Choices | None = None) -> Plan:
    """The plan of a file, with what was chosen for one release; all keys have defaults.

    Raises:
        ConfigurationError: a key is unknown or its value cannot be used, or the load balancer
            cannot do what it asks for.
    """
    table = settings.section("release")
    preset = PRESETS[table.choice("preset", tuple(PRESETS), "none")]
    plan = table.fill(
        Plan,
        steps=_steps(table),
        hooks=_hooks(table.table("hooks"), preset),
        approvals=_approvals(table.table("approvals")),
        triggers=triggers.read(table.table("triggers")),
        load=_load(table.table("load")),
    )
    if plan.strategy == "cohort" and not plan.cohort:
        raise table.wrong("cohort", "the strategy `cohort` needs a list of user ids.")
    chosen = (choices or Choices()).applied(plan)
    if chosen.shadow_seconds and settings.driver not in mirror.DRIVERS:
        raise table.wrong("shadow_seconds", mirror.refusal(settings.driver))
    return chosen


def _steps(table: Table) -> tuple[int, ...]:
    steps = table.integers("steps", Plan.steps)
    rising = all(low < high for low, high in pairwise(steps))
    if not steps or not rising or steps[0] < 1 or steps[-1] != 100:
        raise table.wrong("steps", "needs rising percents that end with 100, as [10, 25, 50, 100].")
    return steps


def _load(table: Table) -> Load:
    load = table.fill(Load)
    if not load.paths or not all(path.startswith("/") for path in load.paths):
        raise table.wrong("paths", "needs paths that begin with /.")
    return load


def _hooks(chosen: Table, preset: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    hooks = {name: chosen.texts(name, preset.get(name, ())) for name in HOOKS}
    for name, lines in hooks.items():
        for line in lines:
            _check_command(chosen, name, line)
    chosen.done()
    return MappingProxyType({name: lines for name, lines in hooks.items() if lines})


def _check_command(table: Table, name: str, line: str) -> None:
    try:
        parts = shlex.split(line)
        filled = [part.format_map(dict.fromkeys(WORDS, "x")) for part in parts]
    except (ValueError, KeyError, IndexError, AttributeError) as exc:
        known = ", ".join(f"{{{word}}}" for word in WORDS)
        raise table.wrong(name, f"{line!r} is no command that can be run; known: {known}.") from exc
    if not filled:
        raise table.wrong(name, "a command is empty.")


WORDS = ("version", "from", "to", "from_name", "to_name", "from_url", "to_url", "instances")
"""What a command may name in braces: release, colours, their aliases and addresses."""


def words(version: str, new: Colour, old: Colour, instances: int) -> Mapping[str, str]:
    """`WORDS`, and what they stand for."""
    return {
        "version": version,
        "from": old.name,
        "to": new.name,
        "from_name": old.aliases[0] if old.aliases else old.name,
        "to_name": new.aliases[0] if new.aliases else new.name,
        "from_url": old.url,
        "to_url": new.url,
        "instances": str(instances),
    }


def _approvals(table: Table) -> Mapping[str, float]:
    gates = (Phase.SWITCH, Phase.DRAIN, Phase.MIGRATE)
    found = {str(p): table.number(p, 0.0, least=1) for p in gates if p in table}
    table.done()
    return MappingProxyType(found)
