"""The keys of `[release]` and their meanings, as tables for docs/releases.md."""

from __future__ import annotations

from mina_ops.fields import markdown
from mina_ops.operator.release.plan import HOOKS, PRESETS, WORDS, Load, Plan
from mina_ops.operator.release.verdicts.model import Triggers


def tables() -> str:
    """The keys of `[release]` and `[release.triggers]`, and the presets, as Markdown."""
    parts = [
        markdown(Plan, "key of `[release]`"),
        markdown(Triggers, "key of `[release.triggers]`"),
        markdown(Load, "key of `[release.load]`"),
        f"Hooks: {_listed(HOOKS)}.",
        f"Words: {', '.join(f'`{{{word}}}`' for word in WORDS)}.",
        *(_preset(name) for name in PRESETS if name != "none"),
    ]
    return "\n\n".join(parts)


def _preset(name: str) -> str:
    lines = [f"{hook} = {list(lines)}".replace("'", '"') for hook, lines in PRESETS[name].items()]
    return f'`preset = "{name}"` stands for:\n\n```toml\n[release.hooks]\n' + "\n".join(
        [*lines, "```"]
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
