"""Paths that both the host and mina_ops want, found by comparing what each has registered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from dataclasses import asdict, dataclass

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

_VARIABLE = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Clash:
    """A path that the host and mina_ops both answer.

    Attributes:
        path: ours.
        rule: the host's, as it was registered.
        endpoint: the host's.
        answered_by: who gets requests for it: `mina_ops` or `host`. Whoever bears a token of
            ours reaches mina_ops in any case.
    """

    path: str
    rule: str
    endpoint: str
    answered_by: str

    def to_json(self) -> dict[str, str]:
        """Its fields."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.path}: the host's {self.endpoint} ({self.rule}), {self.answered_by} answers"


class HostRoutes:
    """What the host has registered beside our own blueprints, whenever it is asked."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._map: tuple[int, Map] = (0, Map())

    def serves(self, path: str, method: str) -> bool:
        """Whether the host has a route of its own for a request."""
        rules = list(self._app.url_map.iter_rules())
        if len(rules) != self._map[0]:
            found = Map([rule.empty() for rule in rules if is_of_host(rule)])
            self._map = (len(rules), found)
        try:
            self._map[1].bind("").match(path, method)
        except HTTPException:
            return False
        return True

    def clashes(self, probes: Iterable[str], left_to_host: Set[str] = frozenset()) -> list[Clash]:
        """Each path of ours that the host has too.

        Args:
            probes: paths that are answered below Flask, so that the host's route never is.
            left_to_host: those of them that the host's route keeps.
        """
        probed = {form_of(path): path for path in sorted(probes, reverse=True)}
        rules = list(self._app.url_map.iter_rules())
        routed: dict[str, tuple[int, str]] = {}
        for place, rule in enumerate(rules):
            if not is_of_host(rule):
                routed.setdefault(form_of(rule.rule), (place, rule.rule))
        found = []
        for place, rule in enumerate(rules):
            form = form_of(rule.rule)
            if not is_of_host(rule):
                continue
            if form in probed:
                path = probed[form]
                kept = "host" if path in left_to_host else "mina_ops"
                found.append(Clash(path, rule.rule, rule.endpoint, kept))
            elif form in routed:
                # Of two equal rules Flask takes the one that was registered first.
                first = "host" if place < routed[form][0] else "mina_ops"
                found.append(Clash(routed[form][1], rule.rule, rule.endpoint, first))
        return found


def own_paths(app: Flask) -> tuple[str, ...]:
    """The paths of our Flask routes, each without what varies: `/admin/flags` for all flags."""
    ours = (rule.rule for rule in app.url_map.iter_rules() if not is_of_host(rule))
    fixed = sorted({rule.partition("/<")[0] for rule in ours})
    return tuple(p for p in fixed if not any(p.startswith(f"{q}/") for q in fixed))


def is_of_host(rule: Rule) -> bool:
    """Whether a rule is none of our blueprints'."""
    return not rule.endpoint.startswith("mina_ops_")


def form_of(rule: str) -> str:
    """A rule without the names of what varies, so that `/x/<key>` and `/x/<name>/` are one."""
    return _VARIABLE.sub("<>", rule).rstrip("/") or "/"
