"""What a flag's fields may hold: one schema for each. Pure.

The same schemas stand in the OpenAPI document. Numbers are finite, text can be encoded, and
nothing is so large or deep that one flag could slow all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from mina_ops.app.flags.release_number import FORM
from mina_ops.app.web.openapi.check import require
from mina_ops.app.web.openapi.forms import (
    BOOLEAN,
    DOUBLE,
    KEY,
    NAME,
    NULL,
    STORED,
    Schema,
    keyed,
    listed,
    or_null,
    record,
    ref,
)
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

_SCALAR: Schema = {
    "anyOf": [BOOLEAN, STORED, DOUBLE],
    "description": "true, false, a number or a text of 1 to 256 characters",
}
_PERCENT: Schema = {"type": "number", "minimum": 0, "maximum": 100, "multipleOf": 0.001}
_UNITS = listed(STORED, maxItems=MOST_UNITS)
_RELEASE: Schema = {
    "type": "string",
    "maxLength": 64,
    "pattern": f"^{FORM}$",
    "description": "a release such as v2.5.0, v2.5.0-rc.1 or v2.5.0-12-gabc1234",
}
_DAY = "2[0-9]{3}-[0-9]{2}-[0-9]{2}"
_CLOCK = "T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?"
_OFFSET = "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
_EXPIRES: Schema = {
    "anyOf": [
        {"type": "string", "format": "date", "pattern": f"^{_DAY}$"},
        {"type": "string", "format": "date-time", "pattern": f"^{_DAY}{_CLOCK}{_OFFSET}$"},
        NULL,
    ],
    "description": "a day such as 2026-12-31, or a time with its offset, 2026-12-31T10:00:00Z",
}


def _condition(operators: tuple[str, ...], value: Schema) -> Schema:
    values = listed(value, minItems=1, maxItems=MOST_VALUES)
    asked = {"attribute": NAME, "operator": {"enum": list(operators)}, "values": values}
    return record(asked, closed=True)


_TEXT_VALUE: Schema = {"type": "string", "maxLength": LARGEST_FLAG, "pattern": "^[^\\x00]*$"}


def _value(depth: int) -> Schema:
    """A JSON value within a variant, nested at most so deep."""
    more: dict[str, Any] = {"maxItems": 0} if depth == 1 else {}
    fewer: dict[str, Any] = {"maxProperties": 0} if depth == 1 else {}
    inner: Schema = {} if depth == 1 else ref(f"FlagValue{depth - 1}")
    nested = [listed(inner, **more), keyed(inner, propertyNames=STORED, **fewer)]
    return {"anyOf": [NULL, BOOLEAN, DOUBLE, _TEXT_VALUE, *nested]}


def _by_variant(value: Schema) -> Schema:
    return keyed(value, propertyNames=NAME, maxProperties=MOST_VARIANTS)


NAMED: Mapping[str, Schema] = {
    "FlagCondition": {
        "anyOf": [
            _condition(OPERATORS[:2], _SCALAR),
            _condition(OPERATORS[2:5], STORED),
            _condition(OPERATORS[5:], DOUBLE),
        ],
        "description": "a list of conditions, each with an attribute, an operator "
        f"({', '.join(OPERATORS)}) and 1 to {MOST_VALUES} values that it compares: texts for "
        "starts_with and its like, numbers for less and its like",
    },
    "FlagRule": record(
        {
            "conditions": listed(ref("FlagCondition"), minItems=1, maxItems=MOST_CONDITIONS),
            "rollout_percent": _PERCENT,
            "variant": or_null(NAME),
        },
        "rollout_percent",
        "variant",
        closed=True,
    ),
    **{f"FlagValue{depth}": _value(depth) for depth in range(1, DEEPEST_VALUE)},
}
"""Schemas that those of the fields refer to."""

SCHEMAS: Mapping[str, Schema] = {
    "enabled": BOOLEAN,
    "rollout_percent": _PERCENT,
    "salt": or_null(STORED),
    "allow": _UNITS,
    "deny": _UNITS,
    "rules": listed(ref("FlagRule"), maxItems=MOST_RULES),
    "colours": listed(NAME, maxItems=20),
    "minimum_release": or_null(_RELEASE),
    "release": or_null(STORED),
    "owner": or_null(STORED),
    "description": or_null({**STORED, "maxLength": 1_000}),
    "expires": _EXPIRES,
    "metadata": keyed(_SCALAR, propertyNames=NAME, maxProperties=MOST_METADATA),
    "on_unknown": {"enum": list(ON_UNKNOWN)},
    "variants": {
        "anyOf": [
            _by_variant(BOOLEAN),
            _by_variant(_TEXT_VALUE),
            _by_variant(DOUBLE),
            _by_variant(keyed(ref(f"FlagValue{DEEPEST_VALUE - 1}"), propertyNames=STORED)),
        ],
        "description": f"an object of at most {MOST_VARIANTS} variants: all booleans, all texts, "
        f"all numbers or all objects, none nested deeper than {DEEPEST_VALUE}",
    },
    "weights": keyed(
        {"type": "number", "minimum": 0, "maximum": 1_000_000},
        propertyNames=NAME,
        maxProperties=MOST_VARIANTS,
    ),
}
"""Field -> schema of its value."""

FIELDS = tuple(SCHEMAS)
"""What a flag has besides its key."""

FLAG: Schema = record({"key": KEY, **SCHEMAS}, *FIELDS, closed=True)
"""A flag as a JSON object; only the key must be there."""


def check_key(key: object) -> str:
    """The key, if it may name a flag; raises InvalidRequest."""
    require(key, KEY, "key")
    return str(key)


def refuse(name: str, rule: str) -> NoReturn:
    """Say which rule a field breaks; raises InvalidRequest."""
    raise InvalidRequest(f"Field {name[:80]!a} {rule}.", field=name)
