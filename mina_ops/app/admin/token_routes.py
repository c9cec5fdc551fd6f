"""`/admin/tokens`: make, list, rotate and revoke; and what the heartbeat does for tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint

from mina_ops.app.admin import token_contract as contract
from mina_ops.app.admin.model import Scope, Token
from mina_ops.app.admin.token_register import TokenRegister
from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.state import keys
from mina_ops.app.web.answers import Answer
from mina_ops.app.web.openapi.check import require
from mina_ops.app.web.openapi.operations import Contract
from mina_ops.app.web.routing import json_body, mount

_FEW_REFUSALS = 1_000  # entries that the shared log keeps of them


class TokenRoutes(Component):
    """The bearer tokens of this site, over HTTP.

    Args:
        count: told on each beat how many were refused, and why.
    """

    name = "admin.tokens"

    def __init__(self, context: Context, count: Callable[[str, int], None]) -> None:
        self._context = context
        self._guard = context.guard
        self._tokens = context.guard.tokens
        self._register = TokenRegister(context.store, self._tokens, context.clock)
        self._count = count
        context.presence.watch(registers=[keys.TOKENS])

    def openapi(self) -> Contract:
        return contract.contract()

    def blueprints(self) -> list[Blueprint]:
        blueprint = Blueprint("mina_ops_tokens", __name__)
        headers = self._context.identity.headers
        mount(blueprint, "/admin/tokens", {"GET": self.listed, "POST": self.create}, headers)
        mount(blueprint, "/admin/tokens/<token_id>", {"DELETE": self.revoke}, headers)
        mount(blueprint, "/admin/tokens/<token_id>/rotate", {"POST": self.rotate}, headers)
        return [blueprint]

    def beat(self, now: float) -> None:
        self._tell_refusals()
        self._tokens.refresh(self._context.presence.version(keys.TOKENS))
        self._tokens.tell_use()

    def listed(self) -> Answer:
        """List all tokens, without their secrets."""
        self._guard.require()
        used = self._tokens.last_uses()
        now = self._context.clock.now()
        shown = [one.shown(now, used.get(one.id)) for one in self._tokens.all()]
        return Answer(200, {"tokens": shown})

    def create(self) -> Answer:
        """Make a token; the answer is the only place that shows its secret."""
        actor = self._guard.require()
        body = json_body(contract.SCHEMAS["TokenWanted"])
        lasts = body.get("expires_seconds", contract.EXPIRES_SECONDS["default"])
        scopes = [Scope(name) for name in body["scopes"]]
        made, secret = self._register.create(body["name"], scopes, expires_seconds=lasts, by=actor)
        self._record("token.create", actor, made)
        return Answer(201, {"token": secret, "made": self._shown(made)})

    def rotate(self, token_id: str) -> Answer:
        """Make a token in the place of another, which stays valid for a while."""
        actor = self._guard.require()
        require(token_id, contract.ID, "token_id")
        body = json_body(contract.SCHEMAS["TokenRotation"])
        overlap: Any = body.get("overlap_seconds", contract.OVERLAP_SECONDS["default"])
        made, secret = self._register.rotate(token_id, overlap_seconds=overlap, by=actor)
        self._record("token.rotate", actor, made, before={"id": token_id, "holds_for": overlap})
        return Answer(201, {"token": secret, "made": self._shown(made)})

    def revoke(self, token_id: str) -> Answer:
        """Revoke a token at once."""
        actor = self._guard.require()
        require(token_id, contract.ID, "token_id")
        ended = self._register.revoke(token_id)
        self._record("token.revoke", actor, ended)
        return Answer(200, self._shown(ended))

    def _shown(self, token: Token) -> dict[str, object]:
        return token.shown(self._context.clock.now(), None)

    def _record(self, action: str, actor: str, token: Token, before: object = None) -> None:
        self._context.audit.record(
            actor=actor,
            action=action,
            subject=token.name,
            before=before,
            after=self._shown(token),
        )

    def _tell_refusals(self) -> None:
        refusals = self._guard.refusals
        for reason, times in refusals.take().items():
            self._count(reason, times)
        tale = refusals.tale()
        if tale is not None:
            self._context.audit.record(
                actor="anonymous",
                action="access.refused",
                subject="admin",
                before=None,
                after=tale,
                address=next(iter(tale["addresses"]), ""),
                log=keys.REFUSED_LOG,
            )
