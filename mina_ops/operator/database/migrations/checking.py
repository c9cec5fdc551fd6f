"""`db check` and `db verdict`: gather what is judged (folder, database, colours) and judge it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from mina_ops.errors import ConfigurationError, OperatorError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.migrations import decision, lint, lint_rules, mapped, render, squawk
from mina_ops.operator.database.migrations import failure as failures
from mina_ops.operator.database.migrations.facts import Facts
from mina_ops.operator.database.migrations.rehearsal.rehearse import (
    RehearsalPlan,
    Rehearsed,
    rehearse,
)
from mina_ops.operator.database.migrations.revisions import Tree

_NO_GUARD = (
    "env.py does not call refuse_downgrade(context), so nothing stops a downgrade of production; "
    "see docs/database.md."
)
# Rules about what a rehearsal on PostgreSQL shows for certain: where a migration was rehearsed to
# its end, what these rules said of it is left out.
_SHOWN_BY_REHEARSAL = {
    *("rename_table", "rename_column", "set_not_null", "change_type", "drop_view", "drop_default"),
    *("attach_partition", "unjudged", "timeout", "in_a_view", "on_partitions", "add_column"),
}


@dataclass(frozen=True)
class Question:
    """What `db check` is asked.

    Attributes:
        at: the revisions that the database is at; none: all migrations run.
        upper: the revision to reach; None: every head.
        mapped_file: what the running code maps.
        timeouts_set: lock and statement timeouts come from elsewhere, as from the role.
        reviewed: revisions that somebody has judged by hand.
        bind: which of several databases, for migrations of Flask-Migrate's --multidb.
    """

    folder: Path
    at: Sequence[str] = ()
    upper: str | None = None
    mapped_file: Path | None = None
    dialect: str = "postgresql"
    version_table: str = "alembic_version"
    timeouts_set: bool = False
    reviewed: Sequence[str] = ()
    bind: str = ""


def check(
    asked: Question, *, facts: Facts | None = None, database: Database | None = None
) -> lint.LintReport:
    """What is to be said of the migrations that would run.

    Blocks for as long as they run in the scratch copy.

    Args:
        facts: what the database says, if there is one to ask.
        database: they are run in a scratch copy of its schema; None: judged by rules alone.

    Raises:
        ConfigurationError: the folder, a revision or the mapped file cannot be used.
    """
    folder = asked.folder
    tree = Tree(folder)
    _require_known(tree, asked)
    upper = (asked.upper,) if asked.upper else tuple(tree.heads)
    steps = render.render(tree.between(asked.at, upper), asked.dialect, asked.bind)
    known = mapped.read(asked.mapped_file) if asked.mapped_file else None
    per_migration = _env_says(folder, "transaction_per_migration=True")
    timeouts = asked.timeouts_set or _env_says(folder, "lock_timeout", "statement_timeout")
    found = lint.judge(
        steps,
        known,
        dialect=asked.dialect,
        timeouts_set=timeouts,
        transaction_per_migration=per_migration,
        facts=facts,
        reviewed=asked.reviewed,
    )
    if (folder / "env.py").is_file() and not _env_says(folder, "refuse_downgrade"):
        found = replace(found, remarks=(*found.remarks, _NO_GUARD))
    if asked.dialect != "postgresql":
        return found
    if database is not None and steps:
        plan = RehearsalPlan(
            tree,
            asked.at,
            upper,
            version_table=asked.version_table,
            transaction_per_migration=per_migration,
            timeouts_set=timeouts,
            bind=asked.bind,
            mapped=known,
        )
        found = with_rehearsal(found, rehearse(database, plan), asked.reviewed)
    more, remarks = squawk.look([step for step in steps if step.revision not in asked.reviewed])
    return replace(found, dangers=(*found.dangers, *more), remarks=(*found.remarks, *remarks))


def _require_known(tree: Tree, asked: Question) -> None:
    for revision in (*asked.at, *((asked.upper,) if asked.upper else ())):
        if not tree.knows(revision):
            raise ConfigurationError(
                f"The revision {revision} is in no migration of {asked.folder}; is this the code "
                "of the coming release?"
            )


def with_rehearsal(
    found: lint.LintReport, shown: Rehearsed, reviewed: Sequence[str] = ()
) -> lint.LintReport:
    """What the rules said, together with what a rehearsal showed; nothing is said twice."""
    kept = [
        d for d in found.dangers if not (d.revision in shown.done and d.rule in _SHOWN_BY_REHEARSAL)
    ]
    known = {(danger.revision, danger.rule, danger.subject) for danger in kept}
    new = [d for d in shown.dangers if (d.revision, d.rule, d.subject) not in known]
    new = [replace(d, level=lint_rules.NOTE) if d.revision in reviewed else d for d in new]
    return replace(found, dangers=(*kept, *new), remarks=(*found.remarks, *shown.remarks))


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
) -> decision.Judgement:
    """What to do after a failed migration. Only reads.

    Args:
        settings: names the colours, which are asked for what the next two do not say.
        old: the colour that served before.
        new: the colour that the migration was for.
        old_head: the revision that the old code was written for; None: ask the colour.
        new_head: the same of the new code; None: the head of the folder.

    Raises:
        ConfigurationError: nobody says for which revision the old code was written.
    """
    left = failures.analyse(database, folder, version_table=version_table)
    tree = Tree(folder)
    old_head = old_head or _head_of(settings, old)
    if old_head is None:
        raise ConfigurationError(
            f"For which revision {old} was written is not known; give --old-head REVISION."
        )
    known = mapped.read(mapped_file) if mapped_file else None
    return decision.judge(
        left.at[0] if len(left.at) == 1 else None,
        decision.Support(
            old, _supported(tree, old_head, known, database.kind), _is_healthy(settings, old)
        ),
        decision.Support(
            new,
            frozenset({new_head or tree.head()}),
            _is_healthy(settings, new),
        ),
        left.half_done,
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
    """(ISO time in UTC, text) of each entry in the release journals; damaged lines are left out."""
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
    """Whether all these words, written without blanks, stand in the folder's env.py."""
    env = folder / "env.py"
    text = "".join(env.read_text(errors="replace").split()) if env.is_file() else ""
    return all(word in text for word in words)


def _head_of(settings: OperatorSettings | None, colour: str) -> str | None:
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


def _is_healthy(settings: OperatorSettings | None, colour: str) -> bool | None:
    """Whether the colour is healthy; False too if it does not answer, None if it is not known."""
    if settings is None:
        return None
    found = settings.colour(colour)
    try:
        with AppClient(found.name, found.url) as client:
            return client.health().healthy
    except OperatorError:
        return False
