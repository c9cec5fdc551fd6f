"""Whether a flag is on for a caller. Pure: the snapshot's flags in, an answer out.

`compile_flag` decides once what does not depend on the caller (colour, release, a percentage of 0
or 100), and returns a plain bool where that decides everything. So the common case costs one
look-up.
"""

from __future__ import annotations

import operator as op
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import mmh3

from mina_ops.app.flags.model import Condition, Flag, Json, Rule
from mina_ops.app.flags.release_number import release_number
from mina_ops.errors import MinaOpsError

SCALE = 100_000
"""Steps of a percentage: 0.001 % each."""

Attributes = Mapping[str, Any]
Predicate = Callable[[object, Attributes], bool]
Compiled = bool | Predicate


class Undecided(MinaOpsError):
    """This process cannot tell, and the flag asks for an error then (`on_unknown: error`)."""

    code = "undecided"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the flag is asked for: the colour and release of this process."""

    colour: str
    release: str


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer with its reason.

    `enabled` is the value itself where that is a boolean. `variant` is None for a flag without
    variants and for one that is off. `reason` is one of `disabled, colour, release, deny, allow,
    rule, split, full, no_unit, unknown`.
    """

    enabled: bool
    value: Json
    variant: str | None
    reason: str


def bucket(text: str, scale: int) -> int:
    """Where a text falls among `scale` equal steps, 0 to scale - 1: murmur3 (x86, 32 bit).

    Source: flagd's fractional operation (v2) takes (hash * weight) >> 32.
    """
    # mmh3 ends the process on a text that cannot be encoded, so it only ever gets bytes.
    return int(mmh3.hash(text.encode("utf-8", "surrogatepass"), 0, False)) * scale >> 32


def compile_flag(flag: Flag, place: Place) -> Compiled:
    """The flag as a bool, or as a predicate over (unit, attributes) where callers differ."""
    fixed = _fixed(flag, place)
    if fixed is not None:
        return _raising if fixed.reason == "error" else fixed.enabled
    if flag.rules or flag.allow or flag.deny or flag.variants:
        return lambda unit, attributes: _by_caller(flag, unit, attributes).enabled
    steps = _steps(flag.rollout_percent)
    if steps in (0, SCALE):
        return steps == SCALE
    prefix = f"{flag.salt or flag.key}:"
    hashed = mmh3.hash
    below = -(-(steps << 32) // SCALE)  # the first hash whose bucket is not among the steps

    def in_share(unit: object, _: Attributes) -> bool:
        if unit is None:
            return False
        try:
            return hashed(f"{prefix}{unit}".encode()) & 0xFFFFFFFF < below
        except UnicodeEncodeError:
            return bucket(f"{prefix}{unit}", SCALE) < steps

    return in_share


def decide(flag: Flag, place: Place, unit: object, attributes: Attributes) -> Decision:
    """The full answer, with variant and reason; `enabled` equals that of `compile_flag`.

    Raises:
        Undecided: this process cannot tell, and the flag asks for an error then.
    """
    fixed = _fixed(flag, place)
    if fixed is None:
        return _by_caller(flag, unit, attributes)
    if fixed.reason == "error":
        raise Undecided(_UNDECIDED)
    return fixed


_UNDECIDED = "This release cannot tell whether the flag is on, and the flag asks for an error then."


def _raising(_: object, __: Attributes) -> NoReturn:
    raise Undecided(_UNDECIDED)


def _fixed(flag: Flag, place: Place) -> Decision | None:
    """What holds for every caller here; None: callers differ."""
    if not flag.enabled:
        return _off("disabled")
    if flag.colours and place.colour not in flag.colours:
        return _off("colour")
    if flag.minimum_release is None:
        return None
    ours, least = release_number(place.release), release_number(flag.minimum_release)
    if ours is None or least is None:
        return undecided(flag.on_unknown, flag)
    return _off("release") if ours < least else None


def undecided(on_unknown: str, flag: Flag | None = None) -> Decision:
    """The answer where a process cannot tell; its reason is `error` if one must be raised."""
    if on_unknown == "error":
        return _off("error")
    if on_unknown == "off":
        return _off("unknown")
    return _on(flag, None, None, "unknown") if flag else Decision(True, True, None, "unknown")


def _by_caller(flag: Flag, given: object, attributes: Attributes) -> Decision:
    unit = None if given is None else str(given)
    if unit is not None and unit in flag.deny:
        return _off("deny")
    if unit is not None and unit in flag.allow:
        return _on(flag, unit, None, "allow")
    for rule in flag.rules:
        if _holds(rule, attributes):
            if not _within(flag, rule.rollout_percent, unit):
                return _off("rule")
            return _on(flag, unit, rule.variant, "rule")
    if not _within(flag, flag.rollout_percent, unit):
        return _off("no_unit" if unit is None else "split")
    return _on(flag, unit, None, "full" if flag.rollout_percent == 100 else "split")


def _within(flag: Flag, percent: float, unit: str | None) -> bool:
    steps = _steps(percent)
    if steps in (0, SCALE) or unit is None:
        return steps == SCALE
    return bucket(f"{flag.salt or flag.key}:{unit}", SCALE) < steps


def _steps(percent: float) -> int:
    return round(percent * 1000)


def _off(reason: str) -> Decision:
    return Decision(False, False, None, reason)


def _on(flag: Flag, unit: str | None, variant: str | None, reason: str) -> Decision:
    if not flag.variants:
        return Decision(True, True, None, reason)
    chosen = variant or _share(flag, unit)
    if chosen is None:
        return _off("no_unit")
    split = reason == "full" and _splits(flag)
    value = flag.variants[chosen]
    enabled = value if isinstance(value, bool) else True
    return Decision(enabled, value, chosen, "split" if split else reason)


def _weights(flag: Flag) -> Mapping[str, float]:
    weights = flag.weights or dict.fromkeys(flag.variants, 1)
    return {name: weight for name, weight in weights.items() if weight > 0}


def _splits(flag: Flag) -> bool:
    return bool(flag.variants) and len(_weights(flag)) > 1


def _share(flag: Flag, unit: str | None) -> str | None:
    """The variant of a unit by weight; None without a unit where there is a choice."""
    weights = _weights(flag)
    if len(weights) == 1:
        return next(iter(weights))
    if unit is None:
        return None
    # Hashed apart from the percentage, so that growing it moves nobody to another variant.
    point = bucket(f"{flag.salt or flag.key}:variant:{unit}", SCALE) * sum(weights.values())
    reached = 0.0
    for name, weight in weights.items():
        reached += weight * SCALE
        if point < reached:
            return name
    return list(weights)[-1]


def _holds(rule: Rule, attributes: Attributes) -> bool:
    return all(_meets(condition, attributes) for condition in rule.conditions)


def _meets(condition: Condition, attributes: Attributes) -> bool:
    # Who has no country, or null as country, is in no list of countries: alike for both.
    given = attributes.get(condition.attribute)
    if given is None:
        return condition.operator == "not_in"
    compare = _COMPARE[condition.operator]
    try:
        if condition.operator == "not_in":
            return not any(_same(given, value) for value in condition.values)
        return any(compare(given, value) for value in condition.values)
    except (TypeError, AttributeError):
        return False  # an attribute of another type stands in no relation to the values


def _same(given: Any, value: Any) -> bool:
    """Whether an attribute is one of a rule's values, or a list that holds it.

    What one side has as a text and the other does not is compared as text: a person types the
    user id as "12345" where the app gives 12345, or a UUID.
    """
    if isinstance(given, list | tuple | set | frozenset):
        return any(_same(item, value) for item in given)
    if isinstance(given, str) != isinstance(value, str):
        return _text(given) == _text(value)
    return isinstance(given, bool) == isinstance(value, bool) and bool(given == value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _text_wise(compare: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda given, value: not isinstance(given, bool) and compare(_text(given), value)


def _contains(given: Any, value: Any) -> bool:
    if isinstance(given, list | tuple | set | frozenset):
        return _same(given, value)
    return value in _text(given)


def _number_wise(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda given, value: not isinstance(given, bool | str) and compare(given, value)


_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "in": _same,
    "not_in": _same,
    "starts_with": _text_wise(str.startswith),
    "ends_with": _text_wise(str.endswith),
    "contains": _contains,
    "less": _number_wise(op.lt),
    "less_or_equal": _number_wise(op.le),
    "greater": _number_wise(op.gt),
    "greater_or_equal": _number_wise(op.ge),
}
