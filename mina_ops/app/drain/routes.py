"""`/admin/drain`: begin, watch and cancel."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from mina_ops.app.admin.model import Scope
from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.drain import contract
from mina_ops.app.drain.arrivals import NOBODY, Arrivals
from mina_ops.app.drain.component import Drain
from mina_ops.app.web.answers import Answer
from mina_ops.app.web.openapi.operations import Contract
from mina_ops.app.web.routing import json_body, mount


class DrainRoutes(Component):
    """The drain of this colour, over HTTP."""

    name = "drain.routes"

    def __init__(self, context: Context, drain: Drain, arrivals: Arrivals) -> None:
        self._context = context
        self._guard = context.guard
        self._drain = drain
        self._arrivals = arrivals

    def openapi(self) -> Contract:
        return contract.contract()

    def blueprints(self) -> list[Blueprint]:
        blueprint = Blueprint("mina_ops_drain", __name__)
        views = {"POST": self._begin, "GET": self._watch, "DELETE": self._cancel}
        mount(blueprint, "/admin/drain", views, self._context.identity.headers)
        return [blueprint]

    def _begin(self) -> Answer:
        author = self._guard.author(Scope.DRAIN)
        body = json_body(contract.ORDER)
        new = self._drain.begin(
            author, grace_seconds=body.get("grace_seconds"), force=body.get("force", False)
        )
        if new:
            # Nobody was sent away yet, so the store is not asked for arrivals.
            return Answer(202, {**self._drain.status(), **NOBODY})
        return Answer(200, self._status())

    def _watch(self) -> Answer:
        self._guard.require(Scope.DRAIN)
        return Answer(200, self._status())

    def _cancel(self) -> Answer:
        self._drain.cancel(self._guard.author(Scope.DRAIN))
        return Answer(200, self._status())

    def _status(self) -> dict[str, Any]:
        return {**self._drain.status(), **self._arrivals.status()}
