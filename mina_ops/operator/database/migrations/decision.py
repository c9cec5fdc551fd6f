"""After a migration failed: roll back traffic, freeze, or fix forward. Pure.

A colour's code runs on the revision that it was written for and on those after it, up to the first
that breaks it (see `lint`). The database is at the revision that Alembic's table names, unless a
migration stopped halfway. A downgrade is never proposed: it would drop what the newer code wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Decision(StrEnum):
    """What to do after a failure."""

    ROLL_BACK = "roll back traffic"
    FREEZE = "freeze"
    FIX_FORWARD = "fix forward"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Support:
    """Which revisions a colour's code can run on; `healthy` is what it says of itself now."""

    colour: str
    revisions: frozenset[str]
    healthy: bool | None = None

    def runs_on(self, revision: str) -> bool:
        """Whether the code can run on the revision."""
        return revision in self.revisions


@dataclass(frozen=True)
class Judgement:
    """A decision, why, and what to type to carry it out, in this order."""

    decision: Decision
    reason: str
    steps: tuple[str, ...]


def judge(
    revision: str | None, old: Support, new: Support, damage: Sequence[str] = ()
) -> Judgement:
    """What to do, given where the database is, what each colour runs on and what is damaged.

    Args:
        revision: where the database is; None if it does not say, or says several.
        old: the colour that served before.
        new: the colour that the migration was for.
        damage: what a half-done migration left behind, a sentence each.
    """
    back = f"scripts/switch_traffic.sh {new.colour} {old.colour} --instant"
    if damage:
        return _damaged(revision, old, new, damage, back)
    if revision is None:
        return Judgement(
            Decision.FREEZE,
            "the database does not say which single revision it is at",
            _FROZEN,
        )
    if old.runs_on(revision) and new.runs_on(revision) and old.healthy and new.healthy:
        return Judgement(
            Decision.NOTHING,
            f"both colours run on {revision} and are healthy",
            ("flask db current",),
        )
    if old.runs_on(revision) and old.healthy is not False:
        return Judgement(
            Decision.ROLL_BACK,
            f"{old.colour} runs on {revision}, the schema as it is now",
            (back, "mina-ops db integrity", "flask db revision -m 'Fix migration'", *_FORWARD),
        )
    if new.runs_on(revision) and new.healthy is not False:
        return Judgement(
            Decision.FIX_FORWARD,
            f"{old.colour} cannot run on {revision}; only {new.colour} can, so traffic stays there",
            ("flask db revision -m 'Fix migration'", *_FORWARD),
        )
    return Judgement(
        Decision.FREEZE,
        f"no colour is known to run on {revision}",
        (*_FROZEN, "flask db revision -m 'Hotfix - make it compatible with both'", *_FORWARD),
    )


def _damaged(
    revision: str | None, old: Support, new: Support, damage: Sequence[str], back: str
) -> Judgement:
    what = "; ".join(damage[:3]) + (f" and {len(damage) - 3} more" if len(damage) > 3 else "")
    if revision is not None and old.runs_on(revision) and old.healthy is not False:
        return Judgement(
            Decision.ROLL_BACK,
            f"there is damage ({what}), and {old.colour} runs on {revision}",
            (back, "scripts/analyze_data_corruption.sh", *_RESTORE),
        )
    return Judgement(Decision.FREEZE, f"there is damage: {what}", (*_FROZEN, *_RESTORE))


_FORWARD = (
    "export DATABASE_URL=$STAGING_DATABASE_URL; flask db upgrade",
    "export DATABASE_URL=$PRODUCTION_DATABASE_URL; flask db upgrade",
)
_FROZEN = (
    "move no traffic and start no release until it is understood",
    "scripts/analyze_migration_failure.sh --include-timeline",
)
_RESTORE = (
    "mina-ops db restore BACKUP --to-env RESTORE_DATABASE_URL",
    "scripts/verify_data_integrity.sh",
)
