"""Flags that somebody should look at. Pure: the time is an argument."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mina_ops.app.flags.model import Flag

SETTLED_DAYS = 30
"""A flag that was fully on or off for this long is settled: its code can go.

Source: Unleash takes 40 days for a release flag and 7 for an operational one.
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about one flag. `kind` is `expired, settled_on, settled_off, unowned, unknown`."""

    key: str
    kind: str
    detail: str
    owner: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)


def findings(
    flags: Iterable[Flag],
    changed_at: Mapping[str, float],
    asked_in_vain: Iterable[str],
    now: float,
    *,
    settled_days: float = SETTLED_DAYS,
) -> list[Finding]:
    """What is to be said of the flags, by key.

    Args:
        changed_at: key -> Unix time of the last change; a flag that is missing was changed
            before the log begins, so longer ago than any other.
        asked_in_vain: keys that code asked for and that do not exist.
    """
    found = [
        Finding(key, "unknown", "code asks for it; it does not exist") for key in asked_in_vain
    ]
    for flag in flags:
        found += _of_one(flag, changed_at.get(flag.key), now, settled_days)
    return sorted(found, key=lambda finding: (finding.key, finding.kind))


def _of_one(flag: Flag, changed_at: float | None, now: float, days: float) -> list[Finding]:
    found = []
    if flag.expires is not None and _end(flag.expires) <= now:
        found.append(Finding(flag.key, "expired", f"expired on {flag.expires}", flag.owner))
    if changed_at is None or now - changed_at > days * 86_400:
        if not flag.enabled:
            detail = f"off and unchanged for {days:g} days; remove it and its code"
            found.append(Finding(flag.key, "settled_off", detail, flag.owner))
        elif _for_everyone(flag):
            detail = f"on for everyone and unchanged for {days:g} days; remove it, keep its code"
            found.append(Finding(flag.key, "settled_on", detail, flag.owner))
    if flag.owner is None:
        found.append(Finding(flag.key, "unowned", "has no owner"))
    return found


def _for_everyone(flag: Flag) -> bool:
    limited = flag.rules or flag.deny or flag.colours or len(flag.variants) > 1
    return flag.rollout_percent == 100 and not limited


def _end(text: str) -> float:
    """Unix time of the moment; a day without a time ends at its midnight, UTC."""
    moment = datetime.fromisoformat(text)
    if "T" not in text and " " not in text:
        moment += timedelta(days=1)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
