"""The audit endpoint, the OpenAPI document, and the command that makes our tables."""

from __future__ import annotations

from typing import Any

import click
from flask import Blueprint, request

from mina_ops.app.admin.audit import MOST_ENTRIES
from mina_ops.app.admin.tables import upgrade
from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.web.answers import Answer
from mina_ops.app.web.openapi import document as openapi
from mina_ops.app.web.routing import mount
from mina_ops.errors import ConfigurationError, InvalidRequest

_FILTERS = ("actor", "action", "subject", "environment", "version", "correlation_id")


class AdminRoutes(Component):
    """`GET /admin/audit`, `GET /admin/openapi.json` and `flask mina-ops upgrade`."""

    name = "admin.routes"

    def __init__(self, context: Context) -> None:
        self._context = context

    def blueprints(self) -> list[Blueprint]:
        """The blueprint of `/admin/audit`."""
        blueprint = Blueprint("mina_ops_admin", __name__, cli_group="mina-ops")
        blueprint.cli.short_help = "Tables of mina_ops in this app's database."
        blueprint.cli.command("upgrade")(_upgrade)
        identity = self._context.identity.headers
        mount(blueprint, "/admin/audit", {"GET": self._entries}, identity)
        mount(blueprint, openapi.PATH, {"GET": self._document}, identity)
        return [blueprint]

    def _document(self) -> Answer:
        return Answer(200, openapi.document(self._context.settings))

    def _entries(self) -> Answer:
        self._context.guard.require()
        given = request.args.to_dict()
        limit = _number(given.pop("limit", "50"), "limit", 1, MOST_ENTRIES)
        before = given.pop("before", None)
        if unknown := set(given) - set(_FILTERS):
            name = min(unknown)
            raise InvalidRequest(
                f"Unknown parameter {name[:80]!r}; known are limit, before, {', '.join(_FILTERS)}.",
                field=name[:80],
            )
        found, sources = self._context.audit.entries(
            limit=int(limit),
            before=None if before is None else _number(before, "before", 0, 1e12),
            **given,
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


def _number(text: str, field: str, least: float, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not least <= number <= most:
        raise InvalidRequest(f"Field {field!r} must be {least:g} to {most:g}.", field=field)
    return number
