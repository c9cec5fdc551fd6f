"""What a flag is, and its text form. Pure: no I/O, no clock.

A stored flag holds only the fields that differ from their defaults, as JSON with sorted keys,
so equal flags are equal bytes. An absent field means its default for ever.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from mina_ops.app.flags import limits
from mina_ops.errors import InvalidRequest

Json = bool | str | int | float | list[Any] | dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds for a caller whose attribute stands in this relation to one of the values.

    `operator` is one of `limits.OPERATORS`. A caller without the attribute matches `not_in` alone.
    """

    attribute: str
    operator: str
    values: tuple[bool | str | int | float, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """Decides for every caller who meets all conditions: on for a percentage of them.

    `variant` is what they get; None: by the flag's weights.
    """

    conditions: tuple[Condition, ...]
    rollout_percent: float = 100.0
    variant: str | None = None


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag. Decided in this order: enabled, colours, release, deny, allow, rules, percent.

    Attributes:
        enabled: False is off for everyone, whatever else is set; the rest is kept for later.
        rollout_percent: 0 to 100 in steps of 0.001: the share of those whom no list and no
            rule decides. Without a unit a caller is off below 100.
        salt: what the unit is hashed with; default: the key. A new salt draws new users.
        allow, deny: units that are always on, or always off; deny wins.
        rules: the first whose conditions hold decides.
        colours: where the flag may be on; empty: everywhere.
        minimum_release: older releases report it off.
        release: the release that brought it, see `disable_for_release`.
        expires: ISO date (its day counts to the end, UTC) or time with its offset; the report
            names the flag afterwards, evaluation does not change.
        metadata: name -> boolean, string or number, handed out with OpenFeature's answers.
        on_unknown: `off`, `on` or `error`: what a process answers that cannot tell, because
            its own release has no number or it cannot read the entry.
        variants: name -> value; empty: the flag is a boolean. `weights` share them out; a
            variant without a weight is given by rules only. Equal weights if all are absent.
    """

    key: str
    enabled: bool = False
    rollout_percent: float = 100.0
    salt: str | None = None
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    colours: tuple[str, ...] = ()
    minimum_release: str | None = None
    release: str | None = None
    owner: str | None = None
    description: str | None = None
    expires: str | None = None
    metadata: Mapping[str, bool | str | int | float] = field(default_factory=dict)
    on_unknown: str = "off"
    variants: Mapping[str, Json] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)

    def changed(self, values: Mapping[str, Any]) -> Flag:
        """This flag with the given fields (JSON values) set; the others stay.

        Raises:
            InvalidRequest: a field is unknown, or its value is of a wrong type or out of range;
                names the field.
        """
        flag = replace(self, **_checked(values))
        _check_together(flag)
        return flag

    def to_json(self, *, full: bool = True) -> dict[str, Any]:
        """All fields as JSON values, or (`full=False`) the key and those that are not default."""
        values = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}
        if full:
            return values
        default = Flag(self.key).to_json()
        return {n: v for n, v in values.items() if n == "key" or v != default[n]}

    def to_bytes(self) -> bytes:
        """The stored form; equal flags have equal bytes."""
        return json.dumps(
            self.to_json(full=False), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()


def new_flag(key: object) -> Flag:
    """A flag that is off.

    Raises:
        InvalidRequest: the key is not 1 to 128 of a-z, 0-9, `_`, `.`, `-`.
    """
    return Flag(limits.check_key(key))


def from_json(raw: Mapping[str, Any]) -> Flag:
    """The flag of a JSON object that holds at least its key; raises InvalidRequest."""
    values = dict(raw)
    return new_flag(values.pop("key", None)).changed(values)


def from_bytes(raw: bytes) -> Flag:
    """The flag of a stored entry.

    Raises:
        ValueError: the entry is damaged; InvalidRequest: a later release wrote it with a field
            or a value that this one does not know.
    """
    values = json.loads(raw)
    if not isinstance(values, dict):
        raise ValueError("a stored flag is a JSON object")
    # What one field does not tell was checked when it was written.
    return Flag(limits.check_key(values.pop("key", None)), **_checked(values))


def _check_together(flag: Flag) -> None:
    """Check what one field alone does not tell; raises InvalidRequest."""
    named = {rule.variant for rule in flag.rules} - {None}
    if unknown := (named - set(flag.variants)):
        limits.refuse("rules", f"name variants that the flag lacks: {', '.join(map(str, unknown))}")
    if unknown_weights := (set(flag.weights) - set(flag.variants)):
        limits.refuse("weights", f"name variants that the flag lacks: {', '.join(unknown_weights)}")
    if flag.weights and not sum(flag.weights.values()) > 0:
        limits.refuse("weights", "must not all be 0")
    if len(flag.to_bytes()) > limits.LARGEST_FLAG:
        raise InvalidRequest(f"The flag is larger than {limits.LARGEST_FLAG} bytes.")


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    checked = {name: limits.check(name, value) for name, value in values.items()}
    if "rules" in checked:
        checked["rules"] = tuple(_rule(raw) for raw in checked["rules"])
    return checked


def _rule(raw: Mapping[str, Any]) -> Rule:
    conditions = tuple(
        Condition(c["attribute"], c["operator"], tuple(c["values"])) for c in raw["conditions"]
    )
    return Rule(conditions, raw.get("rollout_percent", 100.0), raw.get("variant"))


def _plain(value: Any) -> Any:
    if isinstance(value, Rule):
        conditions = [
            {"attribute": c.attribute, "operator": c.operator, "values": list(c.values)}
            for c in value.conditions
        ]
        return {
            "conditions": conditions,
            "rollout_percent": value.rollout_percent,
            "variant": value.variant,
        }
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value
