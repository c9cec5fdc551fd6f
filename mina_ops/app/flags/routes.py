"""The flag endpoints."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, request
from flask.sansio.blueprints import BlueprintSetupState

from mina_ops.app.admin.model import Scope
from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.flags import contract
from mina_ops.app.flags.component import Flags
from mina_ops.app.flags.editor import Edited
from mina_ops.app.flags.model import before_and_after, turns_off
from mina_ops.app.flags.report import findings
from mina_ops.app.flags.repository import Changed
from mina_ops.app.web.answers import Answer
from mina_ops.app.web.openapi.check import query_values
from mina_ops.app.web.openapi.forms import Schema
from mina_ops.app.web.openapi.operations import Contract
from mina_ops.app.web.routing import json_body, mount

CONFIRM_SECONDS = 2.0
"""How long a change that turns something off waits for every process, unless told otherwise."""


class FlagRoutes(Component):
    """`/api/flags` and `/admin/flags`, and `flag()` for templates.

    Paths of acts on many flags begin `/admin/flags/-/`, which no key does.
    """

    name = "flags.routes"

    def __init__(self, context: Context, flags: Flags) -> None:
        self._guard = context.guard
        self._identity = context.identity
        self._flags = flags
        self._editor = flags.editor

    def openapi(self) -> Contract:
        return contract.contract()

    def blueprints(self) -> list[Blueprint]:
        blueprint = Blueprint("mina_ops_flags", __name__)
        rules: dict[str, dict[str, Callable[..., Answer]]] = {
            "/api/flags": {"GET": self.evaluated},
            "/admin/flags": {"GET": self.all, "POST": self.set},
            "/admin/flags/<key>": {"GET": self.get, "DELETE": self.delete},
            "/admin/flags/<key>/history": {"GET": self.history},
            "/admin/flags/<key>/undo": {"POST": self.undo},
            "/admin/flags/-/history": {"GET": self.history},
            "/admin/flags/-/undo": {"POST": self.undo},
            "/admin/flags/-/disable-for-release": {"POST": self.disable_for_release},
            "/admin/flags/-/export": {"GET": self.export},
            "/admin/flags/-/import": {"POST": self.load},
            "/admin/flags/-/report": {"GET": self.findings},
            "/admin/flags/-/recover": {"POST": self.recover},
        }
        for rule, methods in rules.items():
            mount(blueprint, rule, methods, self._identity.headers)
        blueprint.record_once(self._offer_to_templates)
        return [blueprint]

    def _offer_to_templates(self, state: BlueprintSetupState) -> None:
        state.app.jinja_env.globals.setdefault("flag", self._in_template)

    def _in_template(self, key: str, unit: object = None, **attributes: Any) -> bool:
        caller = self._flags.callers.present()
        return self._flags.is_enabled(
            key, caller.unit if unit is None else unit, **{**caller.attributes, **attributes}
        )

    def evaluated(self) -> Answer:
        """The caller's flags, with an ETag of their own."""
        caller, cache = self._flags.callers.present(), self._flags.cache
        place = self._flags.place
        body = {
            "flags": self._flags.evaluate(caller.unit, caller.attributes),
            "environment": place.colour,
            "version": place.release,
            "flags_version": cache.applied[1],
            "stale": cache.stale,
        }
        tag = hashlib.sha256(repr([cache.applied, caller.unit, body]).encode()).hexdigest()[:32]
        headers = {
            "ETag": f'W/"{tag}"',
            "Vary": "Cookie, Authorization",
            "Cache-Control": "private, no-cache",
        }
        if request.if_none_match.contains_weak(tag):
            return Answer(304, headers=headers)
        if cache.stale:
            body["age_seconds"] = cache.age_seconds
        return Answer(200, body, headers)

    def all(self) -> Answer:
        """All flags, or those whose key begins with `prefix`, or that `release` brought."""
        self._guard.require(Scope.FLAGS)
        asked = _query(contract.LIST_QUERY)
        prefix, release = asked["prefix"], asked.get("release")
        chosen = [
            flag.to_json()
            for flag in self._editor.flags()
            if flag.key.startswith(prefix) and release in (None, flag.release)
        ]
        return Answer(200, {"flags": chosen, **self._freshness()})

    def get(self, key: str) -> Answer:
        """One flag; its ETag is for `If-Match`."""
        self._guard.require(Scope.FLAGS)
        flag, tag = self._editor.flag(key)
        body = {**flag.to_json(), **self._freshness(), "revision": tag}
        return Answer(200, body, {"ETag": f'"{tag}"'})

    def set(self) -> Answer:
        """Set fields of a flag."""
        expected = _expected()
        author, values = self._guard.author(Scope.FLAGS), json_body(contract.FLAG_SET)
        key, seconds = values.pop("key"), values.pop("confirm_seconds", None)
        return self._one(self._editor.set(key, values, author, expect=expected), seconds)

    def delete(self, key: str) -> Answer:
        """Delete a flag; `confirm_seconds` may be in the query."""
        author = self._guard.author(Scope.FLAGS)
        seconds = _query(contract.DELETE_QUERY).get("confirm_seconds")
        return self._one(self._editor.delete(key, author, expect=_expected()), seconds)

    def history(self, key: str | None = None) -> Answer:
        """The newest changes first, `limit` of them."""
        self._guard.require(Scope.FLAGS)
        count = _query(contract.HISTORY_QUERY)["limit"]
        changes = [record.to_json() for record in self._editor.history(key, count=count)]
        return Answer(200, {"changes": changes})

    def undo(self, key: str | None = None) -> Answer:
        """Undo the last change of a flag, or the `change` of that id."""
        author, body = (
            self._guard.author(Scope.FLAGS),
            json_body(contract.UNDO_CHANGE if key is None else contract.UNDO),
        )
        changed = self._editor.undo(author, key=key, change=body.get("change"))
        return self._many(changed, body.get("confirm_seconds"))

    def disable_for_release(self) -> Answer:
        """Turn off all flags of a release."""
        author, body = self._guard.author(Scope.FLAGS), json_body(contract.RELEASE)
        changed = self._editor.disable_for_release(body["release"], author)
        return self._many(changed, body.get("confirm_seconds"))

    def export(self) -> Answer:
        """All flags as `import` takes them."""
        self._guard.require(Scope.FLAGS)
        chosen = [flag.to_json(full=False) for flag in self._editor.flags()]
        return Answer(200, {"flags": chosen, **self._freshness()})

    def load(self) -> Answer:
        """Make flags what an export says; other fields of an export are not looked at."""
        author = self._guard.author(Scope.FLAGS)
        body = json_body(contract.IMPORT)
        changed = self._editor.load(body["flags"], author)
        return self._many(changed, body.get("confirm_seconds"))

    def findings(self) -> Answer:
        """Flags that somebody should look at."""
        self._guard.require(Scope.FLAGS)
        days = _query(contract.REPORT_QUERY)["days"]
        found = findings(
            self._editor.flags(),
            self._editor.changed_at(),
            self._flags.asked_in_vain(),
            time.time(),
            settled_days=days,
        )
        return Answer(200, {"findings": [f.to_json() for f in found], **self._freshness()})

    def recover(self) -> Answer:
        """Settle a loss of the store: `restore` what was known, or `discard` it."""
        author, body = self._guard.author(Scope.FLAGS), json_body(contract.RECOVER)
        changed = self._editor.recover(author, restore=body["action"] == "restore")
        return self._many(changed, 0)

    def _freshness(self) -> dict[str, Any]:
        cache = self._flags.cache
        return {
            "flags_version": cache.applied[1],
            "stale": cache.stale,
            "age_seconds": cache.age_seconds,
            "alert": cache.alert,
        }

    def _one(self, edited: Edited, seconds: float | None) -> Answer:
        status, more = self._confirmed(edited.changed, seconds)
        body: dict[str, Any] = {}
        headers: dict[str, str] = {}
        if edited.entry is not None and edited.entry.flag is not None:
            body = edited.entry.flag.to_json()
            headers["ETag"] = f'"{edited.entry.revision}"'
        return Answer(201 if edited.created and status == 200 else status, body | more, headers)

    def _many(self, changed: Changed, seconds: float | None) -> Answer:
        status, more = self._confirmed(changed, seconds)
        _, after = before_and_after(changed.entries)
        return Answer(status, {"changed": after, **more})

    def _confirmed(self, changed: Changed, seconds: float | None) -> tuple[int, dict[str, Any]]:
        more: dict[str, Any] = {"flags_version": changed.version}
        if seconds is None:
            seconds = CONFIRM_SECONDS if turns_off(changed.entries) else 0
        if not seconds:
            return 200, more
        found = self._flags.confirmations.wait(changed, seconds)
        more["confirmed"] = found.complete
        more["applied_by"] = list(found.applied)
        more["waiting_for"] = list(found.waiting_for)
        return 200 if found.complete else 202, more


def _expected() -> set[str] | None:
    # Weak tags count: a proxy that compresses answers makes ours weak. Others mark the tag itself,
    # as `"x:gzip"`, `"x-gzip"` or `"x;br"`; ours are hexadecimal.
    if "If-Match" not in request.headers:
        return None
    if request.if_match.star_tag:
        return {"*"}
    given = request.if_match.as_set(include_weak=True)
    return {re.split(r"[^0-9a-f]", tag or "", maxsplit=1)[0] for tag in given}


def _query(known: Mapping[str, Schema]) -> dict[str, Any]:
    return query_values(request.args, known)
