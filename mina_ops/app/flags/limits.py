"""What a flag's fields may hold: one check for each field. Pure.

A value that passes is in its stored form. Numbers are finite, text can be encoded, and nothing
is so large or deep that one flag could slow all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NoReturn

from mina_ops.app.flags.release_number import release_number
from mina_ops.errors import InvalidRequest

OPERATORS = (
    "in", "not_in", "starts_with", "ends_with", "contains",
    "less", "less_or_equal", "greater", "greater_or_equal",
)  # fmt: skip
ON_UNKNOWN = ("off", "on", "error")

MOST_UNITS = 1_000
MOST_RULES = 50
MOST_CONDITIONS = 20
MOST_VALUES = 200
MOST_VARIANTS = 50
MOST_METADATA = 50
LARGEST_FLAG = 65_536  # bytes of its stored form
DEEPEST_VALUE = 10

_KEY = re.compile(r"[a-z0-9][a-z0-9_.-]{0,127}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def check_key(key: object) -> str:
    """The key, if it may name a flag; raises InvalidRequest."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise InvalidRequest(
            "A flag's key is 1 to 128 characters of a-z, 0-9, '_', '.' and '-', and begins with "
            "a letter or digit.",
            field="key",
        )
    return key


def check(name: str, value: Any) -> Any:
    """The value in its stored form, if a flag's field may hold it.

    Raises:
        InvalidRequest: it may not, or there is no such field; names the field.
    """
    if name not in _CHECKS:
        known = ", ".join(_CHECKS)
        raise InvalidRequest(f"Unknown field {_shown(name)}; a flag has {known}.", field=name[:80])
    return _CHECKS[name](name, value)


def refuse(name: str, rule: str) -> NoReturn:
    """Say which rule a field breaks; raises InvalidRequest."""
    raise InvalidRequest(f"Field {_shown(name)} {rule}.", field=name)


def _shown(text: str) -> str:
    return ascii(text[:80])


def _bool(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        refuse(name, "must be true or false")
    return value


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        refuse(name, "must be a number")
    if not math.isfinite(value) if isinstance(value, float) else abs(value) > 2**53:
        refuse(name, "must be finite, and a whole number at most 2^53")
    return value


def _percent(name: str, value: Any) -> float:
    number = _number(name, value)
    if not 0 <= number <= 100:
        refuse(name, "must be 0 to 100")
    if abs(number * 1000 - round(number * 1000)) > 1e-6:
        refuse(name, "has at most 3 decimals")
    return round(float(number), 3)


def _text(name: str, value: Any, *, most: int = 256) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= most:
        refuse(name, f"must be text of 1 to {most} characters")
    if "\0" in value or any(0xD800 <= ord(character) <= 0xDFFF for character in value):
        refuse(name, "holds a character that cannot be stored")
    return value


def _optional(check_value: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda name, value: None if value is None else check_value(name, value)


def _description(name: str, value: Any) -> str:
    return _text(name, value, most=1_000)


def _choice(*allowed: str) -> Callable[[str, Any], str]:
    def check_choice(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            refuse(name, f"must be one of {', '.join(allowed)}")
        return value

    return check_choice


def _list(name: str, value: Any, most: int) -> list[Any]:
    if not isinstance(value, list | tuple) or len(value) > most:
        refuse(name, f"must be a list of at most {most}")
    return list(value)


def _units(name: str, value: Any) -> tuple[str, ...]:
    return tuple(sorted({_text(name, unit) for unit in _list(name, value, MOST_UNITS)}))


def _colours(name: str, value: Any) -> tuple[str, ...]:
    return tuple(sorted({_name(name, colour) for colour in _list(name, value, 20)}))


def _name(name: str, value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        refuse(name, "holds a name that is not 1 to 64 letters, digits, '_', '.' or '-'")
    return value


def _release(name: str, value: Any) -> str:
    text = _text(name, value, most=64)
    if release_number(text) is None:
        refuse(name, "must be a release such as v2.5.0")
    return text


def _time(name: str, value: Any) -> str:
    text = _text(name, value, most=40)
    try:
        datetime.fromisoformat(text)
    except ValueError:
        refuse(name, "must be an ISO date or time, such as 2026-12-31")
    return text


def _object(name: str, value: Any, known: tuple[str, ...], needed: tuple[str, ...]) -> Any:
    if not isinstance(value, Mapping) or not set(needed) <= set(value) <= set(known):
        refuse(name, f"must hold objects with {', '.join(needed)} (known: {', '.join(known)})")
    return value


def _rules(name: str, value: Any) -> tuple[dict[str, Any], ...]:
    return tuple(_rule(name, raw) for raw in _list(name, value, MOST_RULES))


def _rule(name: str, value: Any) -> dict[str, Any]:
    raw = _object(name, value, ("conditions", "rollout_percent", "variant"), ("conditions",))
    conditions = _list(name, raw["conditions"], MOST_CONDITIONS)
    if not conditions:
        refuse(name, "must have a condition in each rule")
    return {
        "conditions": [_condition(name, condition) for condition in conditions],
        "rollout_percent": _percent(name, raw.get("rollout_percent", 100)),
        "variant": _optional(_name)(name, raw.get("variant")),
    }


def _condition(name: str, value: Any) -> dict[str, Any]:
    raw = _object(name, value, *[("attribute", "operator", "values")] * 2)
    operator = _choice(*OPERATORS)(name, raw["operator"])
    values = [_scalar(name, item) for item in _list(name, raw["values"], MOST_VALUES)]
    if not values:
        refuse(name, "must have a value in each condition")
    wanted: tuple[type, ...] = (bool, str, int, float)
    if operator.startswith(("less", "greater")):
        wanted = (int, float)
    elif operator in ("starts_with", "ends_with", "contains"):
        wanted = (str,)
    if not all(type(item) in wanted for item in values):
        refuse(name, f"has a value that {operator!r} cannot compare")
    return {"attribute": _name(name, raw["attribute"]), "operator": operator, "values": values}


def _scalar(name: str, value: Any) -> bool | str | float:
    if isinstance(value, bool):
        return value
    return _text(name, value) if isinstance(value, str) else _number(name, value)


def _variants(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or len(value) > MOST_VARIANTS:
        refuse(name, f"must be an object of at most {MOST_VARIANTS} variants")
    found = {_name(name, variant): item for variant, item in sorted(value.items())}
    if len({_kind(name, item) for item in found.values()}) > 1:
        refuse(name, "must hold values of one type")
    return found


def _kind(name: str, value: Any) -> str:
    if not isinstance(value, bool | str | int | float | dict):
        refuse(name, "holds a value that is no boolean, string, number or object")
    _check_json(name, value, DEEPEST_VALUE)
    kinds = {bool: "boolean", str: "string", dict: "object"}
    return kinds.get(type(value), "number")


def _check_json(name: str, value: Any, depth: int) -> None:
    if depth == 0:
        refuse(name, f"is nested deeper than {DEEPEST_VALUE}")
    if isinstance(value, Mapping):
        for key, item in value.items():
            _text(name, key)
            _check_json(name, item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _check_json(name, item, depth - 1)
    elif isinstance(value, str):
        if value:
            _text(name, value, most=LARGEST_FLAG)
    elif value is not None and not isinstance(value, bool):
        _number(name, value)


def _weights(name: str, value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping) or len(value) > MOST_VARIANTS:
        refuse(name, f"must be an object of at most {MOST_VARIANTS} weights")
    weights = {_name(name, k): _number(name, v) for k, v in sorted(value.items())}
    if not all(0 <= weight <= 1_000_000 for weight in weights.values()):
        refuse(name, "must be 0 to 1000000 each")
    return weights


def _metadata(name: str, value: Any) -> dict[str, bool | str | float]:
    if not isinstance(value, Mapping) or len(value) > MOST_METADATA:
        refuse(name, f"must be an object of at most {MOST_METADATA} values")
    return {_name(name, k): _scalar(name, v) for k, v in sorted(value.items())}


_CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    "enabled": _bool,
    "rollout_percent": _percent,
    "salt": _optional(_text),
    "allow": _units,
    "deny": _units,
    "rules": _rules,
    "colours": _colours,
    "minimum_release": _optional(_release),
    "release": _optional(_text),
    "owner": _optional(_text),
    "description": _optional(_description),
    "expires": _optional(_time),
    "metadata": _metadata,
    "on_unknown": _choice(*ON_UNKNOWN),
    "variants": _variants,
    "weights": _weights,
}

FIELDS = tuple(_CHECKS)
"""What a flag has besides its key."""
