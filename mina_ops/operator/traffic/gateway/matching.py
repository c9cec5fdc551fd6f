"""Regular expressions by which an HTTPRoute sorts requests. Pure.

Each one is for the whole value, from `^` to `$`: some Gateways search in a value, others compare
all of it. None uses what RE2 lacks, such as a look ahead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

BUCKETS = 100
LONGEST_VALUE = 4096
"""Characters that the Gateway API allows in one match of a header."""


def cookie(name: str, value: str) -> str:
    """For the header `Cookie` that holds a cookie of that name; `value` is an expression."""
    return f"^(.*; ?)?{name}=({value})(;.*)?$"


def buckets(low: int, high: int) -> str:
    """For a sticky key whose bucket is from `low` up to, but not including, `high`.

    A key begins with its bucket: `37.9c1f...` is in bucket 37.
    """
    tens: dict[int, list[int]] = {}
    for bucket in range(low, high):
        tens.setdefault(bucket // 10, []).append(bucket % 10)
    whole = [ten for ten, units in tens.items() if len(units) == 10]
    parts = [_digits(ten, units) for ten, units in tens.items() if len(units) < 10]
    if 0 in whole:
        parts.append("[0-9]")
    if above := [ten for ten in whole if ten]:
        parts.append(f"{_class(above)}[0-9]")
    return rf"({'|'.join(parts)})\.[^;]*"


def sid_of(colour: str, instance: str | None = None) -> str:
    """For session ids that the colour's instances made, or one of them."""
    if instance is None:
        return rf"^{re.escape(colour)}\..*$"
    return rf"^{re.escape(colour)}\.{re.escape(instance)}~.*$"


def users(ids: Iterable[str], room: int) -> Iterator[str]:
    """Alternatives for all of these user ids, none longer than `room` characters."""
    part: list[str] = []
    used = 0
    for one in map(_escaped, ids):
        if part and used + len(one) + 1 > room:
            yield "|".join(part)
            part, used = [], 0
        part.append(one)
        used += len(one) + 1
    if part:
        yield "|".join(part)


def _digits(ten: int, units: list[int]) -> str:
    return f"{ten or ''}{_class(units)}"


def _class(digits: list[int]) -> str:
    return f"[{digits[0]}-{digits[-1]}]" if len(digits) > 1 else str(digits[0])


def _escaped(user: str) -> str:
    # The characters of a user id that mean something here; see USER_ID_PATTERN.
    return user.replace(".", r"\.").replace("+", r"\+")
