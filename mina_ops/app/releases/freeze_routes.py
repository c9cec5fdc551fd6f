"""`/admin/freeze`: look at the freeze of releases, set it, lift it."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint

from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.releases.freeze import Freeze, ReleaseFreeze
from mina_ops.app.web.answers import Answer
from mina_ops.app.web.openapi.forms import NUMBER, SAYING, TEXT, Schema, record, ref
from mina_ops.app.web.openapi.operations import ADMIN, Contract, operation
from mina_ops.app.web.routing import json_body, mount

_WANTED = record({"why": SAYING, "who": SAYING}, "why", "who", closed=True)
SCHEMAS: Mapping[str, Schema] = {
    "FreezeWanted": _WANTED,
    "Freeze": record({"who": TEXT, "why": TEXT, "since": NUMBER}),
    "Frozen": record({"freeze": {"anyOf": [ref("Freeze"), {"type": "null"}]}}),
}


class FreezeRoutes(Component):
    """Lets every controller see a freeze, wherever it was made."""

    name = "freeze.routes"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._freeze = ReleaseFreeze(context.store, context.clock)

    def openapi(self) -> Contract:
        return contract()

    def blueprints(self) -> list[Blueprint]:
        blueprint = Blueprint("mina_ops_freeze", __name__)
        views = {"GET": self.look, "PUT": self.set, "DELETE": self.lift}
        mount(blueprint, "/admin/freeze", views, self._context.identity.headers)
        return [blueprint]

    def look(self) -> Answer:
        """The freeze that holds."""
        self._context.guard.require()
        return _told(self._freeze.read())

    def set(self) -> Answer:
        """Freeze releases, or give a new reason."""
        actor = self._context.guard.require()
        body = json_body(_WANTED)
        before, now = self._freeze.set(body.get("who") or actor, body.get("why", ""))
        record_freeze(self._context, actor, before, now)
        return _told(now)

    def lift(self) -> Answer:
        """Let releases start again."""
        actor = self._context.guard.require()
        before = self._freeze.lift()
        if before is not None:
            record_freeze(self._context, actor, before, None)
        return _told(None)


def record_freeze(
    context: Context, actor: str, before: Freeze | None, after: Freeze | None, address: str = ""
) -> None:
    """An entry of the audit log: `freeze.set` or `freeze.lift`."""
    context.audit.record(
        actor=actor,
        action="freeze.lift" if after is None else "freeze.set",
        subject="releases",
        before=None if before is None else before.to_json(),
        after=None if after is None else after.to_json(),
        address=address,
    )


def contract() -> Contract:
    """What `/admin/freeze` takes and answers."""
    known = (*ADMIN, 503)
    look = operation("The freeze of releases.", "releases", {200: "Frozen"}, *known)
    put = operation(
        "Let no release start until it is lifted. One that runs goes on.",
        "releases",
        {200: "Frozen"},
        *(400, 413, *known),
        body="FreezeWanted",
    )
    lift = operation("Lift the freeze; idempotent.", "releases", {200: "Frozen"}, *known)
    return Contract({"/admin/freeze": {"get": look, "put": put, "delete": lift}}, SCHEMAS)


def _told(freeze: Freeze | None) -> Answer:
    return Answer(200, {"freeze": None if freeze is None else freeze.to_json()})
