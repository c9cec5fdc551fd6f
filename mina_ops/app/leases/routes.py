"""`/admin/leases/<name>`: take, look at, renew and free."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flask import Blueprint, request

from mina_ops.app.admin import Guard
from mina_ops.app.leases.model import Lease, lease_id, lease_name, lease_of
from mina_ops.app.web.answers import Answer, problem
from mina_ops.app.web.routing import json_body, mount
from mina_ops.errors import Conflict, PreconditionFailed

if TYPE_CHECKING:
    from mina_ops.app.leases.component import Leases

_TIMES: dict[str, type | tuple[type, ...]] = {"id": str, "ttl_seconds": (int, float)}
_FIELDS = {**_TIMES, "purpose": str, "user": str, "host": str, "pid": int}


def blueprint(leases: Leases, guard: Guard, identity: Mapping[str, str]) -> Blueprint:
    """The routes of one app's leases."""
    routes = Blueprint("mina_ops_leases", __name__)

    def take(name: str) -> Answer:
        guard.require()
        wanted = lease_of(name, json_body(_FIELDS), time.time())
        held, is_new = leases.store.take(wanted)
        if held.id != wanted.id:
            return _refusal(Conflict(f"{name} is held by somebody else: see `lease`."), held)
        return Answer(201 if is_new else 200, leases.told(held))

    def look(name: str) -> Answer:
        guard.require()
        return Answer(200, leases.told(leases.store.holder(lease_name(name))))

    def renew(name: str) -> Answer:
        guard.require()
        wanted = lease_of(name, json_body(_TIMES), time.time())
        held = leases.store.renew(name, wanted.id, wanted.ttl_seconds)
        if held is None:
            return _refusal(_not_yours(name), leases.store.holder(name))
        return Answer(200, leases.told(held))

    def free(name: str) -> Answer:
        actor = guard.require()
        mine = lease_id(request.args.get("id", ""))
        freed = leases.free(lease_name(name), mine, broken_by=actor if _is_break() else None)
        holder = leases.store.holder(name)
        if freed is None and holder is not None:
            return _refusal(_not_yours(name), holder)
        return Answer(200, leases.told(holder))

    views = {"POST": take, "GET": look, "PUT": renew, "DELETE": free}
    mount(routes, "/admin/leases/<name>", views, identity)
    return routes


def _is_break() -> bool:
    return request.args.get("break", "false") == "true"


def _not_yours(name: str) -> PreconditionFailed:
    return PreconditionFailed(f"This id does not hold {name}: its time ran out, or it was broken.")


def _refusal(error: Conflict | PreconditionFailed, held: Lease | None) -> Answer:
    answer = problem(error)
    body: dict[str, Any] = {**answer.body, "lease": None if held is None else held.to_json()}
    return Answer(answer.status, body, answer.headers, answer.content_type)
