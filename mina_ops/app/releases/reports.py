"""Keeps the reports of releases' controllers in the shared store, for both colours.

A controller reports every few seconds; the moment of the last report is its heartbeat. Others
leave requests (abort, pause, resume, promote), which the controller gets in its next answer, so
a release can be steered from any machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mina_ops.app.clock import Clock
from mina_ops.app.state import keys
from mina_ops.app.state.base import Store
from mina_ops.errors import Conflict

MOST_RELEASES = 20
KEEP_SECONDS = 30 * 86_400.0
_MOST_REQUESTS = 100
_TRIES = 5

Body = dict[str, Any]


class ReleaseReports:
    """The newest releases of one product. Every method may raise StateUnavailable."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def put(self, release_id: str, report: Mapping[str, Any]) -> tuple[Body | None, Body]:
        """Keep a controller's report; what was known before, and what is known now."""
        before = self.one(release_id)
        now = self._clock.now()
        body = {**report, "id": release_id, "heard_at": now}
        self._store.put(
            keys.release(release_id), json.dumps(body).encode(), ttl_seconds=KEEP_SECONDS
        )
        if before is None:
            self._add_name(release_id)
        return before, self._told(body)

    def one(self, release_id: str) -> Body | None:
        """A release, with its age; None: nobody reported it in the last 30 days."""
        raw = self._store.get(keys.release(release_id))
        return None if raw is None else self._told(json.loads(raw))

    def newest(self) -> list[Body]:
        """The releases, the newest first, at most 20."""
        names = self._names()
        found = self._store.get_all([keys.release(name) for name in names]) if names else {}
        kept = [found.get(keys.release(name)) for name in names]
        return [self._told(json.loads(raw)) for raw in kept if raw is not None]

    def ask(self, release_id: str, request: Mapping[str, str]) -> None:
        """Leave a request for its controller."""
        log = keys.release_requests(release_id)
        self._store.append(log, dict(request), keep=_MOST_REQUESTS)

    def requests(self, release_id: str) -> list[dict[str, str]]:
        """The requests so far, the oldest first, each with an `id`."""
        log = keys.release_requests(release_id)
        found = self._store.records(log, count=_MOST_REQUESTS)
        return [{**fields, "id": number} for number, fields in reversed(found)]

    def _told(self, body: Body) -> Body:
        """The body with its age, by the clock that both colours share."""
        age = max(0.0, self._clock.now() - float(body.get("heard_at", 0.0)))
        return {**body, "age_seconds": round(age, 3)}

    def _names(self) -> list[str]:
        raw = self._store.get(keys.RELEASES)
        return [] if raw is None else list(json.loads(raw))

    def _add_name(self, release_id: str) -> None:
        for _ in range(_TRIES):
            raw = self._store.get(keys.RELEASES)
            known = [] if raw is None else list(json.loads(raw))
            if release_id in known:
                return
            new = json.dumps([release_id, *known][:MOST_RELEASES]).encode()
            done = (
                self._store.put_new(keys.RELEASES, new)
                if raw is None
                else self._store.replace(keys.RELEASES, raw, new)
            )
            if done:
                return
        raise Conflict("The list of releases changed while it was written; report again.")
