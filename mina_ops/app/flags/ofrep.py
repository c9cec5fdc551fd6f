"""The OpenFeature Remote Evaluation Protocol, for services that are not this app.

Source: open-feature/protocol, service/openapi.yaml 0.3.0. The stock Python provider fails
without `variant` and `errorDetails`, and on a reason outside the schema's five, so all are sent.
"""

from __future__ import annotations

import hashlib
from typing import Any

from flask import Blueprint, request

from mina_ops.app.admin.model import Scope
from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.flags.component import Flags
from mina_ops.app.flags.evaluate import Undecided
from mina_ops.app.flags.ofrep_contract import ALL_PATH, contract
from mina_ops.app.flags.openfeature_answers import resolve
from mina_ops.app.web.answers import Answer
from mina_ops.app.web.openapi.operations import Contract
from mina_ops.app.web.routing import json_object, mount
from mina_ops.errors import InvalidRequest

_REASONS = {"DEFAULT": "STATIC"}  # OFREP's schema lacks DEFAULT


class _Failure(Exception):
    """A request that OFREP answers with an error code."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(details)
        self.code = code


class OfrepRoutes(Component):
    """`/ofrep/v1`, where the setting asks for it."""

    name = "ofrep.routes"

    def __init__(self, context: Context, flags: Flags) -> None:
        self._context = context
        self._guard = context.guard
        self._flags = flags

    def openapi(self) -> Contract:
        return contract() if self._context.settings.ofrep else Contract()

    def blueprints(self) -> list[Blueprint]:
        if not self._context.settings.ofrep:
            return []
        blueprint = Blueprint("mina_ops_ofrep", __name__)
        identity = self._context.identity.headers
        mount(blueprint, ALL_PATH, {"POST": self.all}, identity)
        mount(blueprint, f"{ALL_PATH}/<key>", {"POST": self.one}, identity)
        return [blueprint]

    def one(self, key: str) -> Answer:
        """One flag for a context."""
        self._admit()
        try:
            unit, attributes = _context()
        except _Failure as failure:
            return Answer(400, {"key": key, **_failed(failure)})
        found = self._resolved(key, unit, attributes)
        if found is None:
            details = f"No flag {key[:128]!r}."
            body = {"key": key, "errorCode": "FLAG_NOT_FOUND", "errorDetails": details}
            return Answer(404, body)
        return Answer(400 if "errorCode" in found else 200, found)

    def all(self) -> Answer:
        """Every flag for a context, with an ETag."""
        self._admit()
        try:
            unit, attributes = _context()
        except _Failure as failure:
            return Answer(400, _failed(failure))
        keys = sorted(self._flags.cache.snapshot.table)
        found = [self._resolved(key, unit, attributes) for key in keys]
        cache = self._flags.cache
        body = {
            "flags": [item for item in found if item is not None],
            "metadata": {"version": str(cache.applied[1]), "stale": cache.stale},
        }
        tag = hashlib.sha256(repr([cache.applied, body]).encode()).hexdigest()[:32]
        headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"}
        if request.if_none_match.contains_weak(tag):
            return Answer(304, headers=headers)
        return Answer(200, body, headers)

    def _resolved(self, key: str, unit: str, attributes: dict[str, Any]) -> dict[str, Any] | None:
        try:
            decision = self._flags.decision(key, unit, attributes)
        except Undecided as exc:
            return {"key": key, "errorCode": "GENERAL", "errorDetails": str(exc)}
        if decision is None:
            return None
        answer = resolve(self._flags.cache.snapshot.flags.get(key), decision)
        body: dict[str, Any] = {
            "key": key,
            "reason": _REASONS.get(answer.reason, answer.reason),
            "variant": answer.variant,
        }
        if answer.has_value:
            body["value"] = answer.value
        if answer.metadata:
            body["metadata"] = dict(answer.metadata)
        return body

    def _admit(self) -> None:
        key = request.headers.get("X-API-Key")
        if key is None:
            self._guard.require(Scope.FLAGS, writes=False)
            return
        token = self._guard.enter(key.strip(), request.environ)
        self._guard.allow(token, request.environ, Scope.FLAGS, writes=False)


def _context() -> tuple[str, dict[str, Any]]:
    try:
        # A client of a later protocol may send more than the context.
        body = json_object()
    except InvalidRequest as exc:
        raise _Failure("PARSE_ERROR", str(exc)) from exc
    given = body.get("context", {})
    if not isinstance(given, dict):
        raise _Failure("PARSE_ERROR", "The context must be an object.")
    context = dict(given)
    unit = context.pop("targetingKey", None)
    if unit is None:
        raise _Failure("TARGETING_KEY_MISSING", "The context lacks a targetingKey.")
    if not isinstance(unit, str):
        raise _Failure("INVALID_CONTEXT", "The context's targetingKey must be a string.")
    return unit, context


def _failed(failure: _Failure) -> dict[str, str]:
    return {"errorCode": failure.code, "errorDetails": str(failure)}
