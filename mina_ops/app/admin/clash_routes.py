"""Reports paths that the host has routes for, too: in the log at start, and over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint

from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.web.answers import Answer
from mina_ops.app.web.clashes import Clash, HostRoutes
from mina_ops.app.web.openapi.forms import TEXT, Schema, listed, record, ref
from mina_ops.app.web.openapi.operations import ADMIN, Contract, operation
from mina_ops.app.web.routing import mount

_SCHEMAS: Mapping[str, Schema] = {
    "Clashes": record({"clashes": listed(ref("Clash"))}),
    "Clash": record(dict.fromkeys(("path", "rule", "endpoint", "answered_by"), TEXT)),
}
_MOST_REPORTED = 5
_log = logging.getLogger(__name__)


class ClashRoutes(Component):
    """`GET /admin/clashes`, a note on the console, and a warning for each when it starts to serve.

    Args:
        others: the components whose probes may clash; routes are found in the app.
    """

    name = "clashes"

    def __init__(self, context: Context, others: Sequence[Component]) -> None:
        self._context = context
        self._others = others
        self._host_routes = HostRoutes(context.app)
        self._said: tuple[int, list[str]] = (-1, [])

    def openapi(self) -> Contract:
        return contract()

    def at_start(self) -> None:
        for clash in self.clashes():
            _log.warning("Two want one path. %s. See docs/http-api.md.", clash)

    def report(self) -> Any:
        """Each clash as a sentence, for the console of either colour; None: there is none."""
        rules = len(list(self._context.app.url_map.iter_rules()))
        if rules != self._said[0]:
            self._said = (rules, [str(clash) for clash in self.clashes()[:_MOST_REPORTED]])
        return self._said[1] or None

    def blueprints(self) -> list[Blueprint]:
        blueprint = Blueprint("mina_ops_clashes", __name__)
        mount(blueprint, "/admin/clashes", {"GET": self._show}, self._context.identity.headers)
        return [blueprint]

    def clashes(self) -> list[Clash]:
        """What clashes now; a host may add routes after us."""
        probes = [path for one in self._others for path in one.probes()]
        left = {path for one in self._others for path in one.left_to_host()}
        return self._host_routes.clashes(probes, left)

    def _show(self) -> Answer:
        self._context.guard.require()
        return Answer(200, {"clashes": [clash.to_json() for clash in self.clashes()]})


def contract() -> Contract:
    """What `/admin/clashes` answers."""
    show = operation("Paths that the host has too.", "admin", {200: "Clashes"}, *ADMIN)
    return Contract({"/admin/clashes": {"get": show}}, _SCHEMAS)
