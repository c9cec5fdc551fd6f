"""Outcomes by a setting: what the host does says whether it succeeded, and it calls nothing.

`MINA_OPS_OUTCOMES` gives each outcome one or more rules, parted by `|`:

    transcription = POST /api/sessions/<id>/finalize
    transcription = POST /api/sessions/<id>/finalize 200,202
    ai_insights   = emit insights_ready not insights_failed
    audio         = event audio_chunk

A route's answer below 400 is a success and one of 500 or more is a failure; what lies between is
the client's own fault and counts for neither. With statuses, these are successes and all others
failures. `emit` is what the server sends; `event` is what a client sent, which fails if its handler
raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from mina_ops.app.metrics import fields
from mina_ops.app.metrics.labels import METHODS
from mina_ops.app.web.clashes import form_of
from mina_ops.errors import ConfigurationError

KEY = "MINA_OPS_OUTCOMES"
_K = TypeVar("_K")
_V = TypeVar("_V")
Told = tuple[str, bool]
"""An outcome's name, and whether it succeeded."""

_ROUTE = re.compile(r"(?P<method>[A-Z]+) (?P<rule>/\S*)(?: (?P<statuses>\d{3}(?:,\d{3})*))?")
_EMIT = re.compile(r"emit (?P<good>\S+)(?: not (?P<bad>\S+))?")
_EVENT = re.compile(r"event (?P<event>\S+)")
_FORMS = "METHOD /route [STATUS,STATUS], emit NAME [not NAME], or event NAME"


@dataclass(frozen=True)
class Route:
    """A route whose answers tell an outcome; `statuses` succeed, () means those below 400."""

    outcome: str
    rule: str
    statuses: tuple[str, ...] = ()

    def judge(self, status_line: str) -> Told | None:
        """What an answer tells; None: nothing."""
        code = status_line[:3]
        if self.statuses:
            return self.outcome, code in self.statuses
        return None if code[:1] == "4" else (self.outcome, code[:1] in ("2", "3"))


@dataclass(frozen=True)
class OutcomeRules:
    """All rules of an app.

    Attributes:
        routes: (method, form of the rule) -> route.
        handled: event that clients send -> outcome.
        emitted: event that the server sends -> what it tells.
    """

    routes: Mapping[tuple[str, str], Route] = field(default_factory=dict)
    handled: Mapping[str, str] = field(default_factory=dict)
    emitted: Mapping[str, Told] = field(default_factory=dict)

    def of_request(self, method: str, route: str | None, status_line: str) -> Told | None:
        """What a request tells; None: nothing."""
        if route is None or not self.routes:
            return None
        found = self.routes.get((method, form_of(route)))
        return None if found is None else found.judge(status_line)

    def unknown_routes(self, served: Iterable[tuple[str, str]]) -> list[Route]:
        """Those of its routes that are not among (method, rule) of an app."""
        known = {(method, form_of(rule)) for method, rule in served}
        return [route for key, route in self.routes.items() if key not in known]


def parse(given: Mapping[str, str]) -> OutcomeRules:
    """The rules of a setting: outcome -> text.

    Raises:
        ConfigurationError: a name or a rule cannot be used, or two rules are about one thing.
    """
    routes: dict[tuple[str, str], Route] = {}
    handled: dict[str, str] = {}
    emitted: dict[str, Told] = {}
    for outcome, text in given.items():
        if not fields.is_name(outcome):
            raise _wrong(outcome, "is no name; use 1 to 64 letters, digits, '_', '.' and '-'")
        for rule in (part.strip() for part in text.split("|")):
            if found := _ROUTE.fullmatch(rule):
                if found["method"] not in METHODS:
                    raise _wrong(outcome, f"{found['method']} is no method of HTTP")
                statuses = tuple((found["statuses"] or "").split(",")) if found["statuses"] else ()
                route = Route(outcome, found["rule"], statuses)
                _put(routes, (found["method"], form_of(route.rule)), route, outcome)
            elif found := _EMIT.fullmatch(rule):
                _put(emitted, found["good"], (outcome, True), outcome)
                if found["bad"]:
                    _put(emitted, found["bad"], (outcome, False), outcome)
            elif found := _EVENT.fullmatch(rule):
                _put(handled, found["event"], outcome, outcome)
            else:
                raise _wrong(outcome, f"{rule!r} is no rule; give {_FORMS}")
    return OutcomeRules(routes, handled, emitted)


def _put(rules: dict[_K, _V], key: _K, value: _V, outcome: str) -> None:
    if key in rules:
        raise _wrong(outcome, f"{key!r} is in another rule already")
    rules[key] = value


def _wrong(outcome: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"{KEY}: {outcome[:64]!r}: {why}.")
