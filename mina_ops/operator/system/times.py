"""Moments as people write them: "2 hours ago", "30m", "yesterday", an ISO time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from mina_ops.errors import ConfigurationError

_UNITS = {
    "s": "seconds",
    "sec": "seconds",
    "second": "seconds",
    "m": "minutes",
    "min": "minutes",
    "minute": "minutes",
    "h": "hours",
    "hour": "hours",
    "d": "days",
    "day": "days",
    "w": "weeks",
    "week": "weeks",
}


def span(text: str) -> timedelta:
    """A length of time such as "2 hours", "30m" or "1w".

    Raises:
        ConfigurationError: it is none.
    """
    match = re.fullmatch(r"\s*(\d{1,6})\s*([a-z]+?)s?\s*", text.lower())
    unit = _UNITS.get(match[2]) or _UNITS.get(match[2] + "s") if match else None
    if match is None or unit is None:
        raise ConfigurationError(f"{text!r} is no length of time; write it as '2 hours' or '30m'.")
    return timedelta(**{unit: int(match[1])})


def coming(text: str) -> datetime:
    """A moment that may lie ahead, in UTC; a time without a zone is UTC.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as exc:
        raise ConfigurationError(f"{text!r} is no time; write it as '2025-10-25 22:00'.") from exc
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def moment(text: str, now: datetime) -> datetime:
    """The moment that a text names, in UTC; a time without a zone is UTC.

    Raises:
        ConfigurationError: it is none, or it lies in the future.
    """
    words = text.strip().lower()
    if words == "yesterday":
        return now - timedelta(days=1)
    if words.endswith("ago") or re.fullmatch(r"\d+\s*[a-z]+", words):
        return now - span(words.removesuffix("ago"))
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as exc:
        raise ConfigurationError(
            f"{text!r} is no time; write it as '2 hours ago' or '2025-10-25 09:50'."
        ) from exc
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    if found > now:
        raise ConfigurationError(f"{text!r} lies in the future.")
    return found.astimezone(UTC)
