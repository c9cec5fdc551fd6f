"""The data of the page: put together from memory, at most twice a second for all viewers."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

from mina_ops.app.console import changes, colours, verdict
from mina_ops.app.console.releases import with_age
from mina_ops.app.console.viewers import Viewer
from mina_ops.app.console.watching import Watching
from mina_ops.app.context import Context
from mina_ops.app.drain.model import Order
from mina_ops.app.flags.component import Flags
from mina_ops.app.metrics.component import Metrics
from mina_ops.app.state.drain_state import COMPONENT, DrainState

WINDOW_SECONDS = 60
_FRESH_SECONDS = 0.5
_SHOWN_CHANGES = 12
_STALE_SECONDS = 5.0

Body = dict[str, Any]


class Document:
    """Builds the page's data; docs/console.md tells its fields."""

    def __init__(
        self,
        context: Context,
        metrics: Metrics,
        flags: Flags,
        drain_state: DrainState,
        watching: Watching,
    ) -> None:
        self._context = context
        self._metrics = metrics
        self._flags = flags
        self._drain_state = drain_state
        self._watching = watching
        self._faults: dict[str, float] = {}
        self._made: tuple[float, bytes] = (-_FRESH_SECONDS, b"")

    def for_viewer(self, viewer: Viewer, after: float) -> tuple[bytes, str]:
        """The JSON and its entity tag.

        Args:
            after: only the points of the history that begin after this Unix time.
        """
        marks = [mark for entry in self._watching.changes if (mark := changes.mark(entry))]
        may_act = viewer.token is None or viewer.token.may(None, writes=True)
        own = {
            "viewer": {
                "name": viewer.actor,
                "may_act": may_act,
                "why_not": None if may_act else "may only read",
                "can_leave": viewer.session is not None,
            },
            "history": {"points": self._watching.history.points(after), "marks": marks},
        }
        body = json.dumps(own, separators=(",", ":")).encode()[:-1] + b"," + self._shared()[1:]
        return body, hashlib.sha256(body).hexdigest()[:20]

    def _shared(self) -> bytes:
        made_at, raw = self._made
        now = time.monotonic()
        if now - made_at >= _FRESH_SECONDS:
            raw = json.dumps(self.body(), separators=(",", ":")).encode()
            self._made = (now, raw)
        return raw

    def body(self) -> Body:
        """What all viewers see alike."""
        identity, watching = self._context.identity, self._watching
        order = list(identity.colours[:2])
        release = self._release()
        body: Body = {
            "at": round(self._context.clock.now(), 3),
            "product": self._context.settings.product,
            "served_by": {
                "environment": identity.environment,
                "version": identity.version,
                "instance": identity.instance,
            },
            "store": self._store(),
            "order": order,
            "colours": {name: self._colour(name) for name in order},
            "grace_seconds": self._context.settings.drain_grace_seconds,
            "release": release,
            "releases_known": release is not None,
            "freeze": self._freeze(),
            "notes": self._notes(order),
            **self._flag_part(),
            "changes": [changes.shown(entry) for entry in watching.changes[:_SHOWN_CHANGES]],
            "changes_stale": watching.failed or watching.silent_seconds > _STALE_SECONDS,
        }
        if len(order) > 1:
            colours.share_seen(body["colours"][order[0]], body["colours"][order[1]])
            body["limits"] = verdict.judge(body["colours"], order)
        body["verdict"] = verdict.sentences(body, self._since())
        return body

    def _colour(self, name: str) -> Body:
        peers = self._context.presence.peers(name)
        view = self._metrics.figures.window(name, WINDOW_SECONDS)
        return colours.colour(peers, view, self._drain(name), self._given(name))

    def _release(self) -> Body | None:
        release = self._watching.release
        return None if release is None else with_age(release, self._context.clock.now())

    def _freeze(self) -> Body | None:
        found = self._watching.freeze
        if found is None:
            return None
        return {"by": found.who, "reason": found.why, "since": found.since}

    def _notes(self, order: list[str]) -> list[str]:
        """What the verdict line warns of beside checks and figures: paths that two want."""
        found: dict[str, set[str]] = {}
        for name in order:
            for said in self._context.presence.reports("clashes", name).values():
                for clash in said:
                    found.setdefault(str(clash), set()).add(name)
        return [f"{' and '.join(sorted(names))}: {clash}" for clash, names in found.items()]

    def _given(self, name: str) -> float | None:
        release = self._watching.release
        if not release or release["ended"] or release["percent"] is None:
            return None
        share = float(release["percent"])
        return share if name == release["to"] else 100.0 - share

    def _drain(self, name: str) -> Body:
        reports = self._context.presence.reports(COMPONENT, name).values()
        order = self._watching.orders.get(name)
        live = order is not None and not order.cancelled

        def total(key: str) -> int:
            return sum(int(report.get(key) or 0) for report in reports)

        return {
            "state": str(self._drain_state.of(name)),
            "initial": total("initial"),
            "remaining": total("remaining"),
            "deadline_in_seconds": self._seconds_left(order) if live else None,
            "forced": total("forced"),
            "holds": sum(len(report.get("holds") or ()) for report in reports),
        }

    def _seconds_left(self, order: Order | None) -> float | None:
        return None if order is None else round(order.seconds_left(self._context.clock.now()), 1)

    def _store(self) -> Body:
        peers = self._context.presence.peers()
        kind = "redis" if self._context.store.shared else "memory"
        age = None if peers.age_seconds is None else round(peers.age_seconds, 1)
        return {"kind": kind, "away": peers.stale, "age_seconds": age}

    def _flag_part(self) -> Body:
        cache, authors = self._flags.cache, self._watching.flag_authors
        shown = []
        for flag in self._flags.editor.flags():
            actor, at = authors.get(flag.key, (None, None))
            shown.append(
                {
                    "key": flag.key,
                    "enabled": flag.enabled,
                    "rollout_percent": flag.rollout_percent,
                    "changed_by": actor,
                    "changed_at": at,
                    "release": flag.release,
                    "description": flag.description,
                }
            )
        return {
            "flags": shown,
            "flags_stale": cache.stale,
            "flags_age_seconds": cache.age_seconds,
            "flags_alert": cache.alert,
        }

    def _since(self) -> verdict.Since:
        """Remembers when a fault was seen first, and forgets those that are over."""
        before, now = self._faults, time.monotonic()
        self._faults = {}

        def since(name: str) -> float:
            self._faults[name] = before.get(name, now)
            return now - self._faults[name]

        return since
