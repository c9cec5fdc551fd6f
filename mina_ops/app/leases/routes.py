"""`/admin/leases/<name>`: take, look at, renew and free."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.leases import contract
from mina_ops.app.leases.leases import LeaseStore
from mina_ops.app.leases.model import Lease, lease_id, lease_name, lease_of
from mina_ops.app.web.answers import Answer, problem
from mina_ops.app.web.openapi.check import query_values
from mina_ops.app.web.openapi.operations import Contract
from mina_ops.app.web.routing import json_body, mount
from mina_ops.errors import Conflict, PreconditionFailed


class LeaseRoutes(Component):
    """One controller at a time, wherever it runs."""

    name = "leases.routes"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._guard = context.guard
        self._leases = LeaseStore(context.store)

    def openapi(self) -> Contract:
        return contract.contract()

    def blueprints(self) -> list[Blueprint]:
        blueprint = Blueprint("mina_ops_leases", __name__)
        views = {"POST": self.take, "GET": self.look, "PUT": self.renew, "DELETE": self.free}
        mount(blueprint, "/admin/leases/<name>", views, self._context.identity.headers)
        return [blueprint]

    def take(self, name: str) -> Answer:
        """Take the lease, unless somebody else holds it."""
        self._guard.require()
        wanted = lease_of(
            name, json_body(contract.SCHEMAS["LeaseWanted"]), self._context.clock.now()
        )
        held, is_new = self._leases.take(wanted)
        if held.id != wanted.id:
            return _refusal(Conflict(f"{name} is held by somebody else: see `lease`."), held)
        return Answer(201 if is_new else 200, self._told(held))

    def look(self, name: str) -> Answer:
        """Who holds it."""
        self._guard.require()
        return Answer(200, self._told(self._leases.holder(lease_name(name))))

    def renew(self, name: str) -> Answer:
        """Hold it for longer."""
        self._guard.require()
        wanted = lease_of(
            name, json_body(contract.SCHEMAS["LeaseRenewed"]), self._context.clock.now()
        )
        held = self._leases.renew(name, wanted.id, wanted.ttl_seconds)
        if held is None:
            return _refusal(_not_yours(name), self._leases.holder(name))
        return Answer(200, self._told(held))

    def free(self, name: str) -> Answer:
        """Free it; with `break=true` (somebody else's lease) the audit log gets an entry."""
        actor = self._guard.require()
        asked = query_values(request.args, contract.QUERY)
        freed = self._leases.free(lease_name(name), lease_id(asked.get("id", "")))
        if freed is not None and asked["break"]:
            self._record_break(name, freed, actor)
        holder = self._leases.holder(name)
        if freed is None and holder is not None:
            return _refusal(_not_yours(name), holder)
        return Answer(200, self._told(holder))

    def _told(self, held: Lease | None) -> dict[str, Any]:
        """The body of an answer; `shared` is False where other processes know nothing of it."""
        lease = None if held is None else held.to_json()
        return {"lease": lease, "shared": self._context.store.shared}

    def _record_break(self, name: str, freed: Lease, actor: str) -> None:
        self._context.audit.record(
            actor=actor,
            action="lease.break",
            subject=name,
            before=freed.to_json(),
            after=None,
        )


def _not_yours(name: str) -> PreconditionFailed:
    return PreconditionFailed(f"This id does not hold {name}: its time ran out, or it was broken.")


def _refusal(error: Conflict | PreconditionFailed, held: Lease | None) -> Answer:
    answer = problem(error)
    body: dict[str, Any] = {**answer.body, "lease": None if held is None else held.to_json()}
    return Answer(answer.status, body, answer.headers, answer.content_type)
