"""The acts that an admin may do from the page; each is audited as by its own endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mina_ops.app.admin.auth import Author
from mina_ops.app.console.watching import Watching
from mina_ops.app.context import Context
from mina_ops.app.drain.model import iso
from mina_ops.app.drain.orders import Orders
from mina_ops.app.flags.component import Flags
from mina_ops.app.releases.contract import KINDS
from mina_ops.app.releases.freeze import ReleaseFreeze
from mina_ops.app.releases.freeze_routes import record_freeze
from mina_ops.app.releases.reports import ReleaseReports
from mina_ops.errors import Conflict, InvalidRequest

_CONFIRM_SECONDS = 2.0
_LONGEST_REASON = 200
_Body = Mapping[str, Any]


class Acts:
    """Does what `POST act` asks for. Every act may raise StateUnavailable; nothing is done then."""

    def __init__(self, context: Context, flags: Flags, watching: Watching) -> None:
        self._context = context
        self._flags = flags
        self._watching = watching
        self._freeze = ReleaseFreeze(context.store, context.clock)
        self._acts: dict[str, Callable[[str, str, _Body], dict[str, Any]]] = {
            "drain": self._drain,
            "cancel-drain": self._cancel_drain,
            "turn-flag": self._set_flag,
            "roll-flag": self._set_flag,
            "freeze": self._set_freeze,
            "unfreeze": self._lift_freeze,
            **dict.fromkeys(KINDS, self._order),
        }

    def do(self, actor: str, address: str, body: _Body) -> dict[str, Any]:
        """Do one act; what came of it.

        Raises:
            InvalidRequest: the act is unknown, or a field is missing or of a wrong type.
            Conflict: it cannot be done now; the message says why.
        """
        act = self._acts.get(str(body.get("act")))
        if act is None:
            raise InvalidRequest(f"'act' must be one of {', '.join(self._acts)}.", field="act")
        done = act(actor, address, body)
        self._context.heartbeat.poke()
        return done

    def _drain(self, actor: str, address: str, body: _Body) -> dict[str, Any]:
        colour = self._colour(body)
        context, orders = self._context, self._orders(colour)
        before = orders.read()
        grace = context.settings.drain_grace_seconds
        author, version = Author(actor, address), self._version(colour)
        order, new = orders.begin(author, context.clock.now(), grace, version=version, force=False)
        return {"new": new, "deadline": iso(order.deadline), "was": before is not None}

    def _cancel_drain(self, actor: str, address: str, body: _Body) -> dict[str, Any]:
        colour = self._colour(body)
        orders = self._orders(colour)
        before = orders.cancel(Author(actor, address), self._context.clock.now())
        return {"cancelled": before is not None}

    def _set_flag(self, actor: str, address: str, body: _Body) -> dict[str, Any]:
        name = "enabled" if body["act"] == "turn-flag" else "rollout_percent"
        if name not in body or "key" not in body:
            raise InvalidRequest(f"Fields 'key' and {name!r} are needed.", field=name)
        self._flags.editor.flag(str(body["key"]))  # the page changes flags, and makes none
        values = {name: body[name]}
        edited = self._flags.editor.set(body["key"], values, Author(actor, address))
        if body.get("enabled") is not False:
            return {"flags_version": edited.changed.version}
        found = self._flags.confirmations.wait(edited.changed, _CONFIRM_SECONDS)
        return {"confirmed": found.complete, "waiting_for": list(found.waiting_for)}

    def _set_freeze(self, actor: str, address: str, body: _Body) -> dict[str, Any]:
        reason = " ".join(str(body.get("reason", "")).split())
        if not 0 < len(reason) <= _LONGEST_REASON:
            raise InvalidRequest(
                f"'reason' must have 1 to {_LONGEST_REASON} characters.", field="reason"
            )
        before, now = self._freeze.set(actor, reason)
        record_freeze(self._context, actor, before, now, address)
        return {"freeze": now.to_json()}

    def _lift_freeze(self, actor: str, address: str, body: _Body) -> dict[str, Any]:
        before = self._freeze.lift()
        if before is not None:
            record_freeze(self._context, actor, before, None, address)
        return {"lifted": before is not None}

    def _order(self, actor: str, address: str, body: _Body) -> dict[str, Any]:
        release = self._watching.release
        if release is None or release["ended"]:
            raise Conflict("No release is running.")
        context, kind = self._context, str(body["act"])
        order = {"kind": kind, "why": "ordered at the console", "who": actor}
        ReleaseReports(context.store, context.clock).ask(
            release["id"], {**order, "at": f"{context.clock.now():.3f}"}
        )
        context.audit.record(
            actor=actor,
            action=f"release.{kind}",
            subject=release["id"],
            before=None,
            after=order,
            address=address,
        )
        return order

    def _colour(self, body: _Body) -> str:
        colour = str(body.get("colour"))
        if colour not in self._context.identity.colours:
            known = ", ".join(self._context.identity.colours)
            raise InvalidRequest(f"'colour' must be one of {known}.", field="colour")
        return colour

    def _orders(self, colour: str) -> Orders:
        context = self._context
        own = replace(context.identity, environment=colour)
        return Orders(context.store, own, context.audit)

    def _version(self, colour: str) -> str:
        reports = self._context.presence.peers(colour).reports.values()
        versions = sorted(str(report.get("version")) for report in reports)
        if not versions:
            raise Conflict(f"No process of {colour} is heard: there is nothing to drain.")
        return versions[-1]
