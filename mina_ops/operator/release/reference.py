"""The keys of `[release]` and their meanings, as a table for docs/releases.md."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from mina_ops.operator.release.model import Triggers
from mina_ops.operator.release.plan import HOOKS, PRESETS, WORDS, Plan

# fmt: off
_KEYS = {
    "folder": ("", "Journals and the lock. Default: `releases` beside mina-ops.toml."),
    "strategy": ("", "`canary`: the steps; `instant`: all at once; `cohort`: see there."),
    "steps": ("percent", "The new colour's shares, rising to 100."),
    "cohort": ("", "User ids that get the new colour first, then all; needed by `cohort`."),
    "step_seconds": ("seconds", "Least time at each share."),
    "look_seconds": ("seconds", "Pause between two looks at both colours; 0.05 to 60."),
    "patience_seconds": ("seconds", "How much longer it waits for missing figures."),
    "no_data": ("", "Then: `pause` (page a person and wait), `continue` or `rollback`."),
    "health_seconds": ("seconds", "How long the new colour may take to become ready."),
    "health_looks": ("looks", "So many times in a row it must be ready."),
    "watch_seconds": ("seconds", "How long it is watched with all traffic on it."),
    "drain_grace_seconds": ("seconds", "Grace for the live sessions of a colour that is drained."),
    "gradual_percent": ("percent", "What a gradual rollback gives the old colour first."),
    "gradual_seconds": ("seconds", "How long it watches then before all goes back."),
    "ready_seconds": ("seconds", "How long a rollback tries before it ends with exit code 7."),
    "hook_seconds": ("seconds", "Limit for each command; then it is ended."),
    "instances": ("processes", "`{instances}` in commands."),
    "warm_up": ("", "Paths that are asked of the new colour before it is judged."),
}
_TRIGGERS = {
    "error_percent": ("percent", "More failed requests than this: instant rollback."),
    "p95_increase_percent": ("percent", "P95 so much above the other colour's: gradual rollback."),
    "p95_increase_ms": ("ms", "A smaller increase of P95 is no reason to go back."),
    "database_ms": ("ms", "A slower database check: gradual rollback."),
    "websocket_percent": ("percent", "Fewer Socket.IO handshakes succeed: gradual rollback."),
    "tolerated": ("share", "A rate must surely be above this share of its limit, too."),
    "least_samples": ("samples", "Before that a rate has no verdict."),
    "streak": ("looks", "Looks in a row before a state counts; checks for the database's latency."),
}
# fmt: on


def tables() -> str:
    """The keys of `[release]` and `[release.triggers]`, and the presets, as Markdown."""
    parts = [
        _table("[release]", _KEYS, Plan(folder=Path())),
        _table("[release.triggers]", _TRIGGERS, Triggers()),
        f"Hooks: {_listed(HOOKS)}.",
        f"Words: {', '.join(f'`{{{word}}}`' for word in WORDS)}.",
        *(_preset(name) for name in PRESETS if name != "none"),
    ]
    return "\n\n".join(parts)


def _table(title: str, keys: dict[str, tuple[str, str]], fresh: Any) -> str:
    rows = [f"| key of `{title}` | default | unit | meaning |", "| --- | --- | --- | --- |"]
    for spec in fields(fresh):
        # Hooks, approvals and triggers are tables of their own.
        if spec.name in keys:
            unit, meaning = keys[spec.name]
            default = _toml(getattr(fresh, spec.name)) if spec.name != "folder" else ""
            rows.append(f"| `{spec.name}` | {default} | {unit} | {meaning} |")
    return "\n".join(rows)


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"`[{', '.join(_toml(one).strip('`') for one in value)}]`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value:g}`"


def _preset(name: str) -> str:
    lines = [f"{hook} = {list(lines)}".replace("'", '"') for hook, lines in PRESETS[name].items()]
    return f'`preset = "{name}"` stands for:\n\n```toml\n[release.hooks]\n' + "\n".join(
        [*lines, "```"]
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
