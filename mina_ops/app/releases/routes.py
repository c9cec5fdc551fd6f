"""`/admin/releases`: what controllers report, and requests to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint

from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.releases import contract
from mina_ops.app.releases.gauges import publish
from mina_ops.app.releases.reports import Body, ReleaseReports
from mina_ops.app.web.answers import Answer
from mina_ops.app.web.openapi.check import require, require_body
from mina_ops.app.web.openapi.operations import Contract
from mina_ops.app.web.routing import json_object, mount
from mina_ops.errors import NotFound


class ReleaseRoutes(Component):
    """Lets the other half, dashboards and the console see a release, and steer it."""

    name = "releases.routes"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._reports = ReleaseReports(context.store, context.clock)

    def openapi(self) -> Contract:
        return contract.contract()

    def blueprints(self) -> list[Blueprint]:
        blueprint = Blueprint("mina_ops_releases", __name__)
        headers = self._context.identity.headers
        mount(blueprint, "/admin/releases", {"GET": self.listed}, headers)
        one = {"GET": self.one, "PUT": self.put}
        mount(blueprint, "/admin/releases/<release_id>", one, headers)
        return [blueprint]

    def listed(self) -> Answer:
        """The newest releases first."""
        self._context.guard.require()
        return Answer(200, {"releases": self._reports.newest()})

    def one(self, release_id: str) -> Answer:
        """One release."""
        self._context.guard.require()
        require(release_id, contract.ID, "id")
        found = self._reports.one(release_id)
        if found is None:
            raise NotFound(f"No release {release_id} was reported here.")
        return Answer(200, found)

    def put(self, release_id: str) -> Answer:
        """A controller's report, or somebody's request to it."""
        actor = self._context.guard.require()
        require(release_id, contract.ID, "id")
        body = json_object()
        if "request" in body:
            require_body(body, contract.REQUEST)
            return self._ask(release_id, body["request"], actor)
        require_body(body, contract.REPORT)
        before, now = self._reports.put(release_id, body)
        publish(self._context.store, body)
        self._record_changes(before, now, actor)
        return Answer(200, {**now, "requests": self._reports.requests(release_id)})

    def _ask(self, release_id: str, asked: Mapping[str, Any], actor: str) -> Answer:
        found = self._reports.one(release_id)
        if found is None:
            raise NotFound(f"No release {release_id} was reported here.")
        who = asked.get("who") or actor
        why = asked.get("why", "")
        self._reports.ask(release_id, {"kind": asked["kind"], "why": why, "who": who})
        after = {"kind": asked["kind"], "why": why, "who": who}
        self._record(f"release.{asked['kind']}", release_id, actor, (None, after))
        return Answer(200, {**found, "requests": self._reports.requests(release_id)})

    def _record_changes(self, before: Body | None, now: Body, actor: str) -> None:
        """The audit log knows the begin and the end of a release, and each change of shares."""
        was = before or {}
        told = {"version": now["version"], "from": now["from"], "to": now["to"]}
        told |= {"who": now.get("who"), "host": now.get("host")}
        if before is None:
            self._record("release.begin", now["id"], actor, (None, told))
        if was.get("percent", 0) != now["percent"]:
            shares = tuple(
                {"percent": {now["to"]: share, now["from"]: 100 - share}}
                for share in (was.get("percent", 0), now["percent"])
            )
            self._record("switch", now["id"], actor, (shares[0], {**shares[1], "who": told["who"]}))
        if was.get("phase") != now["phase"] and now["phase"] in contract.ENDS:
            reasons = now.get("reasons", [])
            ended = {**told, "reasons": reasons}
            self._record(f"release.{now['phase']}", now["id"], actor, (None, ended))

    def _record(self, action: str, subject: str, actor: str, change: tuple[Any, Any]) -> None:
        self._context.audit.record(
            actor=actor,
            action=action,
            subject=subject,
            before=change[0],
            after=change[1],
        )
