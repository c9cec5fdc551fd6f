"""The audit endpoint, the OpenAPI document, and the command that makes our tables."""

from __future__ import annotations

from typing import Any

import click
from flask import Blueprint, request

from mina_ops.app.admin import contract
from mina_ops.app.admin.tables import upgrade
from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.web.answers import Answer
from mina_ops.app.web.openapi.check import query_values
from mina_ops.app.web.openapi.document import document
from mina_ops.app.web.openapi.operations import Contract
from mina_ops.app.web.routing import mount
from mina_ops.errors import ConfigurationError


class AdminRoutes(Component):
    """`GET /admin/audit`, `GET /admin/openapi.json` and `flask mina-ops upgrade`."""

    name = "admin.routes"

    def __init__(self, context: Context) -> None:
        self._context = context

    def openapi(self) -> Contract:
        return contract.contract()

    def blueprints(self) -> list[Blueprint]:
        """The blueprint of `/admin/audit`."""
        blueprint = Blueprint("mina_ops_admin", __name__, cli_group="mina-ops")
        blueprint.cli.short_help = "Tables of mina_ops in this app's database."
        blueprint.cli.command("upgrade")(_upgrade)
        identity = self._context.identity.headers
        mount(blueprint, "/admin/audit", {"GET": self._entries}, identity)
        mount(blueprint, contract.DOCUMENT_PATH, {"GET": self._document}, identity)
        return [blueprint]

    def _document(self) -> Answer:
        runtime: Any = self._context.app.extensions["mina_ops"]
        parts = [component.openapi() for component in runtime.components]
        return Answer(200, document(self._context.identity.version, parts))

    def _entries(self) -> Answer:
        self._context.guard.require()
        asked = query_values(request.args, contract.QUERY)
        found, sources = self._context.audit.entries(
            limit=asked.pop("limit"), before=asked.pop("before", None), **asked
        )
        body: dict[str, Any] = {"entries": [entry.to_json() for entry in found]}
        return Answer(200, {**body, "sources": sources})


@click.command("upgrade")
def _upgrade() -> None:
    """Make or update the tables mina_ops_* in this app's database; idempotent."""
    try:
        click.echo(upgrade())
    except ConfigurationError as exc:
        raise click.ClickException(str(exc)) from exc
