"""What a flag is. Pure: no I/O, no clock."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from mina_ops.app.flags import limits
from mina_ops.app.web.openapi.check import require_body
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
        if "key" in values:
            limits.refuse("key", "is the flag's name and never changes")
        return self.having(checked({**values, "key": self.key}))

    def having(self, values: Mapping[str, Any]) -> Flag:
        """This flag with the given fields set to values that `checked` returned.

        Raises:
            InvalidRequest: the fields do not go together, such as a rule that names a variant
                which the flag lacks.
        """
        flag = replace(self, **values)
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
        """The stored form: JSON with sorted keys, of the fields that differ from their defaults.

        So equal flags are equal bytes, and an absent field means its default for ever.
        """
        return json.dumps(
            self.to_json(full=False), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()


class StoredFlag:
    """An entry of the store: its bytes, and the flag that is in them.

    The flag is read from the bytes once, when somebody first asks for it. Whoever has the flag
    already gives it, and nothing is read at all.
    """

    def __init__(self, raw: bytes, flag: Flag | None = None) -> None:
        self.raw = raw
        if flag is not None:
            self.flag = flag

    @property
    def revision(self) -> str:
        """Names this state of the flag; equal states have equal revisions."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    @cached_property
    def flag(self) -> Flag | None:
        """The flag; None where a later release wrote what this one cannot read."""
        try:
            return from_bytes(self.raw)
        except (ValueError, InvalidRequest, RecursionError):
            return None


def shown(entry: StoredFlag | None) -> dict[str, Any] | None:
    """The fields that an entry sets, as JSON values for people; None if there is no entry."""
    if entry is None:
        return None
    if entry.flag is None:
        return {"unreadable": entry.raw.decode(errors="replace")}
    return entry.flag.to_json(full=False)


Pair = tuple[StoredFlag | None, StoredFlag | None]
"""An entry before and after a change; None: there is none."""


def turns_off(pairs: Mapping[str, Pair]) -> bool:
    """Whether a flag that was on, or that this release cannot read, is off or gone."""
    for old, new in pairs.values():
        was_on = old is not None and (old.flag is None or old.flag.enabled)
        if was_on and (new is None or new.flag is None or not new.flag.enabled):
            return True
    return False


def before_and_after(pairs: Mapping[str, Pair]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a change found and what it left, by key, as JSON values for people."""
    before = {key: shown(old) for key, (old, _) in sorted(pairs.items())}
    return before, {key: shown(new) for key, (_, new) in sorted(pairs.items())}


def stored(flag: Flag) -> StoredFlag:
    """The entry that holds a flag.

    Raises:
        InvalidRequest: it would be larger than 65,536 bytes.
    """
    raw = flag.to_bytes()
    if len(raw) > limits.LARGEST_FLAG:
        raise InvalidRequest(f"The flag is larger than {limits.LARGEST_FLAG} bytes.")
    return StoredFlag(raw, flag)


def from_json(raw: Mapping[str, Any]) -> Flag:
    """The flag of a JSON object that holds at least its key; raises as `checked` does."""
    values = checked(raw)
    return Flag(values.pop("key")).having(values)


def from_bytes(raw: bytes) -> Flag:
    """The flag of a stored entry.

    Raises:
        ValueError: the entry is damaged; InvalidRequest: a later release wrote it with a field
            or a value that this one does not know.
    """
    values = json.loads(raw)
    if not isinstance(values, dict):
        raise ValueError("a stored flag is a JSON object")
    return Flag(**checked(values))  # how its fields go together was checked when it was written


def checked(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A flag's key and those fields that a JSON object sets, as a `Flag` holds them.

    Raises:
        InvalidRequest: the key is missing, a field is unknown, or a value is of a wrong type or
            out of range; names the field.
    """
    plain = {n: list(v) if isinstance(v, tuple) else v for n, v in raw.items()}
    require_body(plain, limits.FLAG, limits.NAMED)
    return {name: _FORMS[name](v) if name in _FORMS else v for name, v in plain.items()}


def _check_together(flag: Flag) -> None:
    """Check what one field alone does not tell; raises InvalidRequest."""
    named = {rule.variant for rule in flag.rules} - {None}
    if unknown := (named - set(flag.variants)):
        limits.refuse("rules", f"name variants that the flag lacks: {', '.join(map(str, unknown))}")
    if unknown_weights := (set(flag.weights) - set(flag.variants)):
        limits.refuse("weights", f"name variants that the flag lacks: {', '.join(unknown_weights)}")
    if flag.weights and not sum(flag.weights.values()) > 0:
        limits.refuse("weights", "must not all be 0")


def _percent(value: float) -> float:
    return round(float(value), 3)


def _units(value: list[str]) -> tuple[str, ...]:
    return tuple(sorted(set(value)))


def _sorted(value: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(value.items()))


def _rules(value: list[dict[str, Any]]) -> tuple[Rule, ...]:
    return tuple(_rule(raw) for raw in value)


def _rule(raw: Mapping[str, Any]) -> Rule:
    conditions = tuple(
        Condition(c["attribute"], c["operator"], tuple(c["values"])) for c in raw["conditions"]
    )
    return Rule(conditions, _percent(raw.get("rollout_percent", 100)), raw.get("variant"))


_FORMS: Mapping[str, Callable[[Any], Any]] = {
    "rollout_percent": _percent,
    "allow": _units,
    "deny": _units,
    "colours": _units,
    "rules": _rules,
    "metadata": _sorted,
    "variants": _sorted,
    "weights": _sorted,
}
"""How the JSON value of a field becomes what the flag holds."""


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
