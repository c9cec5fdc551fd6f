"""Our decisions in OpenFeature's words; shared by the provider and by OFREP. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mina_ops.app.flags.evaluate import Decision
from mina_ops.app.flags.model import Flag, Json

MetadataValue = bool | str | int | float


@dataclass(frozen=True, slots=True)
class Resolution:
    """What OpenFeature calls a resolution.

    `has_value` is False where the caller's own default holds: a flag with variants that is off.
    """

    has_value: bool
    value: Json
    variant: str
    reason: str
    metadata: Mapping[str, MetadataValue]


def resolve(flag: Flag | None, decision: Decision) -> Resolution:
    """The resolution of a decision; `flag` is None for an entry that could not be read.

    A boolean flag that is off is False, whatever the caller's default: a killed feature must
    not come on because its code said ``default=True``.
    """
    metadata = {} if flag is None else _metadata(flag)
    reason = _reason(flag, decision)
    if flag is not None and flag.variants:
        has_value = decision.variant is not None
        return Resolution(has_value, decision.value, decision.variant or "off", reason, metadata)
    name = "on" if decision.enabled else "off"
    return Resolution(True, decision.enabled, name, reason, metadata)


def _reason(flag: Flag | None, decision: Decision) -> str:
    if decision.reason == "full":
        targeted = flag is not None and (flag.rules or flag.allow or flag.deny)
        return "DEFAULT" if targeted else "STATIC"
    return _REASONS[decision.reason]


_REASONS = {
    "disabled": "DISABLED",
    "colour": "DISABLED",
    "release": "DISABLED",
    "deny": "TARGETING_MATCH",
    "allow": "TARGETING_MATCH",
    "rule": "TARGETING_MATCH",
    "split": "SPLIT",
    "no_unit": "DEFAULT",
    "unknown": "UNKNOWN",
}


def _metadata(flag: Flag) -> dict[str, Any]:
    named = {"release": flag.release, "owner": flag.owner}
    return {**{k: v for k, v in named.items() if v is not None}, **flag.metadata}
