"""Computes the variables of the secrets' file at each stage of a rotation. Pure.

Each stage names every variable that a rotation touches, so writing a stage again, or going back
to an earlier one, needs no knowledge of what the file says now.
"""

from __future__ import annotations

from collections.abc import Mapping

from mina_ops.operator.config.incident import SecretOptions
from mina_ops.operator.secrets import values
from mina_ops.operator.secrets.journal import Journal, Stage
from mina_ops.operator.secrets.replacements import key_of

# Sessions signed by a key that long ago are over; more fallbacks only slow a bad cookie down.
_FALLBACKS = 3


def at(options: SecretOptions, journal: Journal, stage: Stage) -> Mapping[str, str | None]:
    """The variables of the file at a stage; None: not there."""
    if stage is Stage.PLANNED:
        return _before(options, journal)
    found: dict[str, str | None] = {}
    if "secret_key" in journal.kinds:
        found |= _signing(options, journal, stage)
    if "tokens" in journal.kinds:
        known = values.with_digests(journal.tokens)
        is_over = stage in (Stage.NARROW, Stage.RETIRE)
        found[options.tokens_key] = known if is_over else _both_tokens(options, journal)
    source = journal.old if stage is Stage.WIDEN else journal.new
    for kind in ("database", "redis"):
        if kind in journal.kinds:
            found[key_of(options, kind)] = source[key_of(options, kind)]
    return found


def _before(options: SecretOptions, journal: Journal) -> Mapping[str, str | None]:
    keys = [key_of(options, kind) for kind in journal.kinds]
    keys += [options.fallbacks_key] if "secret_key" in journal.kinds else []
    return {key: journal.old.get(key) for key in keys}


def _signing(options: SecretOptions, journal: Journal, stage: Stage) -> Mapping[str, str | None]:
    """The key that signs, and those that are still accepted."""
    old, new = journal.old[options.secret_key], journal.new[options.secret_key]
    earlier = [key for key in journal.old.get(options.fallbacks_key, "").split(",") if key]
    earlier = earlier[: _FALLBACKS - 1]
    if stage is Stage.WIDEN:
        # Colours are reloaded one after the other: the first one that signs with the new key
        # meets one that has to know it already.
        return {options.secret_key: old, options.fallbacks_key: values.joined(new, *earlier)}
    fallbacks = values.joined(old, *earlier)
    if journal.end_sessions and stage in (Stage.NARROW, Stage.RETIRE):
        fallbacks = None
    return {options.secret_key: new, options.fallbacks_key: fallbacks}


def _both_tokens(options: SecretOptions, journal: Journal) -> str:
    known = values.tokens(journal.old[options.tokens_key])
    old = [f"{name}{values.OLD}:{digest}" for name, digest in known]
    return ",".join([values.with_digests(journal.tokens), *old])
