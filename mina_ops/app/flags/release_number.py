"""Releases compared as numbers. Pure."""

from __future__ import annotations

import re

_RELEASE = re.compile(
    r"v?([0-9]{1,9}(?:\.[0-9]{1,9}){0,5})(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?"
)

Number = tuple[tuple[int, ...], tuple[tuple[int, int, str], ...]]


def release_number(text: str) -> Number | None:
    """What orders releases such as `v2.5.0`, `2.5` or `2.5.1-rc.1`; None: it has no number.

    Trailing zeros do not count; a pre-release comes before its release.

    Source: Semantic Versioning 2.0.0, section 11.
    """
    match = _RELEASE.fullmatch(text.strip())
    if match is None:
        return None
    numbers = [int(part) for part in match[1].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    if match[2] is None:
        return tuple(numbers), ((2, 0, ""),)  # above every pre-release
    return tuple(numbers), tuple(_identifier(part) for part in match[2].split("."))


def _identifier(part: str) -> tuple[int, int, str]:
    return (0, int(part), "") if part.isdigit() else (1, 0, part)
