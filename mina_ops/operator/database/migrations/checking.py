"""The judgements about migrations, with what they need gathered: folder, database, colours."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mina_ops.errors import ConfigurationError, OperatorError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.migrations import failure as failures
from mina_ops.operator.database.migrations import lint, lint_rules, mapped, render, squawk, verdict
from mina_ops.operator.database.migrations.facts import Facts
from mina_ops.operator.database.migrations.revisions import Tree

_NO_GUARD = (
    "env.py does not call refuse_downgrade(context), so nothing stops a downgrade of production; "
    "see docs/database.md."
)


def check(
    folder: Path,
    *,
    lower: str | Sequence[str] | None,
    upper: str | None = None,
    mapped_file: Path | None = None,
    dialect: str = "postgresql",
    timeouts_set: bool = False,
    facts: Facts | None = None,
    reviewed: Sequence[str] = (),
) -> lint.Verdict:
    """The verdict on the migrations that would run from `lower` up to `upper` (None: the head).

    Args:
        lower: the revision, or those of all branches, that the database is at; none: all run.
        facts: what the database says, if there is one to ask.

    Raises:
        ConfigurationError: the folder, a revision or the mapped file cannot be used.
    """
    tree = Tree(folder)
    at = (lower,) if isinstance(lower, str) else tuple(lower or ())
    for revision in (*at, *((upper,) if upper else ())):
        if not tree.knows(revision):
            raise ConfigurationError(
                f"The revision {revision} is in no migration of {folder}; is this the code of the "
                "coming release?"
            )
    steps = render.render(tree.between(at, upper or tree.head()), dialect)
    known = mapped.read(mapped_file) if mapped_file else None
    found = lint.judge(
        steps,
        known,
        dialect=dialect,
        timeouts_set=timeouts_set or _env_says(folder, "lock_timeout", "statement_timeout"),
        apart=_env_says(folder, "transaction_per_migration=True"),
        facts=facts,
        reviewed=reviewed,
    )
    if (folder / "env.py").is_file() and not _env_says(folder, "refuse_downgrade"):
        found = replace(found, remarks=(*found.remarks, _NO_GUARD))
    if dialect != "postgresql":
        return found
    more, remarks = squawk.look([step for step in steps if step.revision not in reviewed])
    return replace(found, dangers=(*found.dangers, *more), remarks=(*found.remarks, *remarks))


def decide(
    database: Database,
    folder: Path,
    settings: OperatorSettings | None,
    *,
    old: str,
    new: str,
    old_head: str | None = None,
    new_head: str | None = None,
    mapped_file: Path | None = None,
    version_table: str = "alembic_version",
) -> verdict.Judgement:
    """What to do after a failed migration; asks the colours where the caller does not know.

    Raises:
        ConfigurationError: nobody says for which revision the old code was written.
    """
    left = failures.analyse(database, folder, version_table=version_table)
    tree = Tree(folder)
    old_head = old_head or _asked(settings, old)
    if old_head is None:
        raise ConfigurationError(
            f"For which revision {old} was written is not known; give --old-head REVISION."
        )
    known = mapped.read(mapped_file) if mapped_file else None
    return verdict.judge(
        left.at[0] if len(left.at) == 1 else None,
        verdict.Support(old, _supported(tree, old_head, known, database.kind), _up(settings, old)),
        verdict.Support(
            new,
            frozenset({new_head or tree.head()}),
            _up(settings, new),
        ),
        left.damage,
    )


def _supported(tree: Tree, head: str, known: mapped.Mapped | None, dialect: str) -> frozenset[str]:
    """The old code's own revision, and those after it up to the first that breaks the code."""
    found = [head]
    for script in tree.between((head,), tree.head()):
        judged = lint.judge(
            render.render([script], dialect), known, dialect=dialect, timeouts_set=True
        )
        if any(danger.level == lint_rules.INCOMPATIBLE for danger in judged.dangers):
            break
        found.append(script.revision)
    return frozenset(found)


def release_events(settings: OperatorSettings | None) -> Sequence[tuple[str, str]]:
    """(ISO time in UTC, text) of each line in the release journals, where there are any."""
    if settings is None:
        return []
    events = []
    folder = settings.section("release").path("folder", settings.file.parent / "releases")
    for file in sorted(folder.glob("*/journal.jsonl")) if folder.is_dir() else []:
        for line in file.read_text(errors="replace").splitlines():
            try:
                entry = json.loads(line)
                at = datetime.fromtimestamp(float(entry["at"]), UTC).isoformat()
                what = f"{entry['event']} {entry['phase']}"
            except (ValueError, KeyError, TypeError):
                continue
            events.append((at, f"release {file.parent.name}: {what}"))
    return events


def _env_says(folder: Path, *words: str) -> bool:
    env = folder / "env.py"
    text = "".join(env.read_text(errors="replace").split()) if env.is_file() else ""
    return all(word in text for word in words)


def _asked(settings: OperatorSettings | None, colour: str) -> str | None:
    """The revision that a colour's code was written for, as its migrations check says."""
    if settings is None:
        return None
    found = settings.colour(colour)
    try:
        with AppClient(found.name, found.url, token=settings.token()) as client:
            _, body = client.request("GET", "/api/health/migrations", admin=True)
    except OperatorError:
        return None
    return str(body["head"]) if isinstance(body, dict) and body.get("head") else None


def _up(settings: OperatorSettings | None, colour: str) -> bool | None:
    if settings is None:
        return None
    found = settings.colour(colour)
    try:
        with AppClient(found.name, found.url) as client:
            return client.health().healthy
    except OperatorError:
        return False
