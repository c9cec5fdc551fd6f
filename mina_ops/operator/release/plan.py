"""What a release does, read from `[release]` of mina-ops.toml. Pure but for the file's path."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.config.tables import Table
from mina_ops.operator.release.model import FORWARD, Phase, Triggers

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
class Plan:
    """A release's plan; seconds are real time, percents whole, hooks lists of commands.

    `step_seconds` is the least time at each share, `patience_seconds` how much longer it waits
    for figures before `no_data` says what to do. `approvals` maps a phase to the seconds that
    somebody has to promote it before the release is given up.
    """

    folder: Path
    strategy: str = "canary"
    steps: tuple[int, ...] = (10, 25, 50, 100)
    cohort: tuple[str, ...] = ()
    step_seconds: float = 600.0
    look_seconds: float = 1.0
    patience_seconds: float = 900.0
    no_data: str = "pause"
    health_seconds: float = 120.0
    health_looks: int = 3
    watch_seconds: float = 900.0
    drain_grace_seconds: float = 30.0
    gradual_percent: int = 75
    gradual_seconds: float = 60.0
    ready_seconds: float = 20.0
    hook_seconds: float = 900.0
    instances: int = 4
    warm_up: tuple[str, ...] = ("/api/health", "/api/flags")
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    approvals: Mapping[str, float] = field(default_factory=dict)
    triggers: Triggers = field(default_factory=Triggers)

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


def read(settings: OperatorSettings) -> Plan:
    """The plan of a file; all keys have defaults.

    Raises:
        ConfigurationError: a key is unknown or its value cannot be used.
    """
    table = settings.section("release")
    fresh = Plan(folder=Path())
    plan = Plan(
        folder=table.path("folder", (settings.file.parent / "releases").absolute()),
        strategy=table.choice("strategy", STRATEGIES, fresh.strategy),
        steps=_steps(table),
        cohort=table.texts("cohort", ()),
        step_seconds=table.number("step_seconds", fresh.step_seconds, least=0),
        look_seconds=table.number("look_seconds", fresh.look_seconds, least=0.05, most=60),
        patience_seconds=table.number("patience_seconds", fresh.patience_seconds, least=0),
        no_data=table.choice("no_data", NO_DATA, fresh.no_data),
        health_seconds=table.number("health_seconds", fresh.health_seconds, least=1),
        health_looks=table.integer("health_looks", fresh.health_looks, least=1),
        watch_seconds=table.number("watch_seconds", fresh.watch_seconds, least=0),
        drain_grace_seconds=table.number(
            "drain_grace_seconds", fresh.drain_grace_seconds, least=0, most=86_400
        ),
        gradual_percent=table.integer("gradual_percent", fresh.gradual_percent, least=1, most=100),
        gradual_seconds=table.number("gradual_seconds", fresh.gradual_seconds, least=0),
        ready_seconds=table.number("ready_seconds", fresh.ready_seconds, least=0, most=600),
        hook_seconds=table.number("hook_seconds", fresh.hook_seconds, least=1),
        instances=table.integer("instances", fresh.instances, least=1),
        warm_up=table.texts("warm_up", fresh.warm_up),
        hooks=_hooks(table),
        approvals=_approvals(table.table("approvals")),
        triggers=_triggers(table.table("triggers")),
    )
    if plan.strategy == "cohort" and not plan.cohort:
        raise table.wrong("cohort", "the strategy `cohort` needs a list of user ids.")
    table.done()
    return plan


def _steps(table: Table) -> tuple[int, ...]:
    default = Plan(folder=Path()).steps
    steps = table.integers("steps", default)
    rising = all(low < high for low, high in pairwise(steps))
    if not steps or not rising or steps[0] < 1 or steps[-1] != 100:
        raise table.wrong("steps", "needs rising percents that end with 100, as [10, 25, 50, 100].")
    return steps


def _hooks(table: Table) -> Mapping[str, tuple[str, ...]]:
    preset = PRESETS[table.choice("preset", tuple(PRESETS), "none")]
    chosen = table.table("hooks")
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


def _approvals(table: Table) -> Mapping[str, float]:
    gates = (Phase.SWITCH, Phase.DRAIN, Phase.MIGRATE)
    found = {str(p): table.number(p, 0.0, least=1) for p in gates if p in table}
    table.done()
    return MappingProxyType(found)


def _triggers(table: Table) -> Triggers:
    fresh = Triggers()
    triggers = Triggers(
        error_percent=table.number("error_percent", fresh.error_percent, least=0.01, most=100),
        p95_increase_percent=table.number(
            "p95_increase_percent", fresh.p95_increase_percent, least=1
        ),
        p95_increase_ms=table.number("p95_increase_ms", fresh.p95_increase_ms, least=0),
        database_ms=table.number("database_ms", fresh.database_ms, least=1),
        websocket_percent=table.number(
            "websocket_percent", fresh.websocket_percent, least=0, most=99.99
        ),
        tolerated=table.number("tolerated", fresh.tolerated, least=0.001, most=1),
        least_samples=table.integer("least_samples", fresh.least_samples, least=1),
        streak=table.integer("streak", fresh.streak, least=1, most=100),
    )
    table.done()
    return triggers
