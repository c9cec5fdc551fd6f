"""`/admin/drain`: begin, watch and cancel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from flask import Blueprint

from mina_ops.app.admin import Guard
from mina_ops.app.web.answers import Answer
from mina_ops.app.web.routing import json_body, mount
from mina_ops.errors import InvalidRequest

if TYPE_CHECKING:
    from mina_ops.app.drain.component import Drain

LONGEST_GRACE_SECONDS = 86_400.0


def blueprint(drain: Drain, guard: Guard, identity: Mapping[str, str]) -> Blueprint:
    """The routes of one app's drain."""
    routes = Blueprint("mina_ops_drain", __name__)

    def begin() -> Answer:
        actor = guard.require()
        body = json_body({"grace_seconds": (int, float, type(None)), "force": bool})
        grace = body.get("grace_seconds")
        if grace is not None and not (math.isfinite(grace) and 0 <= grace <= LONGEST_GRACE_SECONDS):
            raise InvalidRequest(
                f"grace_seconds is 0 to {LONGEST_GRACE_SECONDS:g}.", field="grace_seconds"
            )
        new = drain.begin(actor, grace_seconds=grace, force=body.get("force", False))
        return Answer(202 if new else 200, drain.status())

    def watch() -> Answer:
        guard.require()
        return Answer(200, drain.status())

    def cancel() -> Answer:
        drain.cancel(guard.require())
        return Answer(200, drain.status())

    mount(routes, "/admin/drain", {"POST": begin, "GET": watch, "DELETE": cancel}, identity)
    return routes
