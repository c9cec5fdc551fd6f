"""Values checked by the very schemas that the OpenAPI document shows.

So whatever the document allows is accepted, and nothing else. Only what our own schemas use is
understood; tests compare the verdicts with those of a whole validator.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from mina_ops.app.web.openapi.forms import Schema
from mina_ops.errors import InvalidRequest

_WORDS = {
    "boolean": "true or false",
    "number": "a number",
    "integer": "a whole number",
    "string": "a text",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_LONGEST_NUMBER = 40
Named = Mapping[str, Schema]


def require(value: Any, schema: Schema, field: str, named: Named | None = None) -> None:
    """Refuse a value that the schema does not allow.

    Args:
        named: schemas that a `$ref` may name.

    Raises:
        InvalidRequest: says what would be right, and names the field.
    """
    told = problem(value, schema, named or {})
    if told is not None:
        raise InvalidRequest(f"Field {field[:80]!a} {told}.", field=field[:80])


def require_body(body: Mapping[str, Any], schema: Schema, named: Named | None = None) -> None:
    """Refuse a body that the schema of an object does not allow; the error names its field."""
    known: Mapping[str, Schema] = schema["properties"]
    for name, value in body.items():
        if name not in known:
            shown = ascii(name[:80])  # it may be as long as the body
            raise InvalidRequest(
                f"Unknown field {shown}; known are {', '.join(known)}.", field=name[:80]
            )
        require(value, known[name], name, named)
    for name in schema["required"]:
        if name not in body:
            raise InvalidRequest(f"Field {name!r} is missing.", field=name)


def query_values(given: Mapping[str, str], known: Mapping[str, Schema]) -> dict[str, Any]:
    """The parameters of a query as values; those that are absent get their schema's default.

    Raises:
        InvalidRequest: one is unknown or is not what its schema allows; names it.
    """
    found = {name: schema["default"] for name, schema in known.items() if "default" in schema}
    for name, text in given.items():
        if name not in known:
            raise InvalidRequest(
                f"Unknown parameter {name[:80]!a}; known are {', '.join(known)}.",
                field=name[:80],
            )
        value = _of_text(text, known[name])
        require(value, known[name], name)
        found[name] = value
    return found


def problem(value: Any, schema: Schema, named: Named) -> str | None:
    """What is wrong with a value, as "must be 0 to 100"; None: nothing."""
    if "$ref" in schema:
        return problem(value, named[schema["$ref"].rpartition("/")[2]], named)
    if "anyOf" in schema:
        return _none_of(value, schema, named)
    if "enum" in schema:
        is_one = any(type(value) is type(one) and value == one for one in schema["enum"])
        return None if is_one else f"must be one of {', '.join(map(str, schema['enum']))}"
    kinds = schema.get("type")
    if kinds is None:
        return None
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if _is(value, kind):
            deeper = _PROBLEMS.get(kind)
            return deeper(value, schema, named) if deeper else None
    words = [_WORDS[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    return f"must be {' or '.join(words)}"


def _none_of(value: Any, schema: Schema, named: Named) -> str | None:
    told = [problem(value, option, named) for option in schema["anyOf"]]
    if None in told:
        return None
    return f"must be {schema['description']}" if "description" in schema else told[0]


def _is(value: Any, kind: str) -> bool:
    if kind == "null":
        return value is None
    if kind == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if kind in ("number", "integer"):
        is_number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
        return is_number and (kind == "number" or value == int(value))
    types: dict[str, type] = {"string": str, "array": list, "object": dict}
    return isinstance(value, types[kind])


def _of_number(value: float, schema: Schema, _: Named) -> str | None:
    least, most = schema.get("minimum"), schema.get("maximum")
    too_low = least is not None and value < least
    if too_low or (most is not None and value > most):
        return (
            f"must be {least:g} to {most:g}" if most is not None else f"must be {least:g} or more"
        )
    # The one step that we use; a float is never an exact multiple of it.
    if "multipleOf" in schema and abs(value * 1000 - round(value * 1000)) > 1e-6:
        return "has at most 3 decimals"
    return None


def _of_string(value: str, schema: Schema, _: Named) -> str | None:
    if any(0xD800 <= ord(character) <= 0xDFFF for character in value):
        return "holds half a character"
    least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    if not least <= len(value) <= most:
        return f"must be a text of {least} to {most} characters"
    pattern = schema.get("pattern")
    if pattern is not None and not _compiled(pattern).fullmatch(value):
        return (
            f"must be {schema['description']}"
            if "description" in schema
            else (f"must match {pattern}")
        )
    return None if _is_moment(value, schema.get("format")) else "must be a day that there is"


def _is_moment(value: str, form: str | None) -> bool:
    try:
        if form == "date":
            date.fromisoformat(value)
        elif form == "date-time":
            datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _of_array(value: list[Any], schema: Schema, named: Named) -> str | None:
    least, most = schema.get("minItems", 0), schema.get("maxItems", math.inf)
    if not least <= len(value) <= most:
        return f"must be a list of {least} to {most}"
    return _first(problem(item, schema.get("items", {}), named) for item in value)


def _of_object(value: dict[str, Any], schema: Schema, named: Named) -> str | None:
    if len(value) > schema.get("maxProperties", math.inf):
        return f"must be an object of at most {schema['maxProperties']}"
    for name in schema.get("required", ()):
        if name not in value:
            return f"must hold objects with {name}"
    known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    for name, item in value.items():
        if name not in known and others is False:
            return f"holds {name[:80]!a}, which is not among {', '.join(known)}"
        told = problem(name, schema.get("propertyNames", {}), named)
        told = told or problem(item, known.get(name, others), named)
        if told is not None:
            return told
    return None


def _first(told: Iterable[str | None]) -> str | None:
    return next((one for one in told if one is not None), None)


_PROBLEMS: Mapping[str, Callable[[Any, Schema, Named], str | None]] = {
    "number": _of_number,
    "integer": _of_number,
    "string": _of_string,
    "array": _of_array,
    "object": _of_object,
}


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    # `$` would let a line feed at the end pass.
    return re.compile(pattern.removeprefix("^").removesuffix("$"), re.DOTALL)


def _of_text(text: str, schema: Schema) -> Any:
    kind = schema.get("type")
    if kind in ("number", "integer"):
        form = _WHOLE if kind == "integer" else _NUMBER
        if len(text) > _LONGEST_NUMBER or not form.fullmatch(text):
            return text  # which is no number, and so refused
        return json.loads(text)
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    return text
