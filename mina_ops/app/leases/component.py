"""The leases of one app, as a part of it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from mina_ops.app.admin import Audit, Guard
from mina_ops.app.component import Part
from mina_ops.app.leases import routes
from mina_ops.app.leases.leases import LeaseStore
from mina_ops.app.leases.model import Lease
from mina_ops.app.settings import Settings
from mina_ops.app.state.base import Store


class Leases(Part):
    """`/admin/leases/<name>`: one controller at a time, wherever it runs."""

    name = "leases"

    def __init__(self, settings: Settings, store: Store, guard: Guard, audit: Audit) -> None:
        self.store = LeaseStore(store)
        self._shared = store.shared
        self._settings = settings
        self._guard = guard
        self._audit = audit

    def blueprints(self) -> list[Blueprint]:
        """The blueprint of `/admin/leases/<name>`."""
        chosen = self._settings
        identity = {"X-Mina-Environment": chosen.environment, "X-Mina-Version": chosen.version}
        return [routes.blueprint(self, self._guard, identity)]

    def told(self, held: Lease | None) -> dict[str, Any]:
        """The body of an answer; `shared` is False where other processes know nothing of it."""
        return {"lease": None if held is None else held.to_json(), "shared": self._shared}

    def free(self, name: str, lease_id: str, *, broken_by: str | None) -> Lease | None:
        """Free it if `lease_id` holds it; one that somebody else breaks goes on record."""
        freed = self.store.free(name, lease_id)
        if freed is not None and broken_by is not None:
            self._audit.record(
                actor=broken_by,
                action="lease.break",
                subject=name,
                before=freed.to_json(),
                after=None,
                address=request.remote_addr or "",
                correlation_id=request.headers.get("X-Request-ID", ""),
            )
        return freed
