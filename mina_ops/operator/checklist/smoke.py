"""The playbook's section 2.3: the critical path of the app, as requests to its own routes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from shlex import quote
from typing import Any

from mina_ops.operator.api.client import AppClient
from mina_ops.operator.checklist.model import FAILED, OK, SKIPPED, Checklist, Item, go_through
from mina_ops.operator.config.smoke import NONE, STEPS, SmokeOptions

_BODIES = {"create": "create_body", "segment": "segment_body"}
_EXPECTED = {"create": "created", "segment": "segmented", "finalize": "finalized"}
_TITLES = {
    "create": "a session is made",
    "segment": "a piece of transcript is added",
    "finalize": "the session is finalized",
    "show": "its summary is there",
    "delete": "the session is removed",
}


class Walk:
    """One walk with a session of its own, which it removes at the end whatever failed before.

    Args:
        client: asks the colour.
        token: the bearer token that the app's own routes take; None: they need none.
    """

    def __init__(self, client: AppClient, options: SmokeOptions, token: str | None) -> None:
        self._client = client
        self._options = options
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: object = None

    def go(self) -> Checklist:
        """Every step, in order."""
        items = [Item(step, _TITLES[step], partial(self._check, step)) for step in STEPS]
        return go_through(f"Critical path of {self._client.name}", items, {})

    def _check(self, step: str) -> tuple[str, str]:
        if step != "create" and self._session is None:
            return SKIPPED, "there is no session"
        route = self._options.route(step, self._session)
        if route is None:
            return SKIPPED, "the app has no such step"
        body = self._options.json(_BODIES[step]) if step in _BODIES else None
        status, answer, _ = self._client.exchange(*route, body=body, headers=self._headers)
        if not 200 <= status < 300:
            return FAILED, f"{' '.join(route)} answers {status}"
        return self._judge(step, " ".join(route), answer)

    def _judge(self, step: str, route: str, answer: Any) -> tuple[str, str]:
        found = answer if isinstance(answer, Mapping) else {}
        if step == "create":
            self._session = found.get(self._options.session_field)
            if self._session is None:
                return FAILED, f"{route} answers without {self._options.session_field!r}"
        wanted = self._options.json(_EXPECTED[step]) if step in _EXPECTED else {}
        for name, value in wanted.items():
            if found.get(name) != value:
                told = json.dumps(found.get(name))[:80]
                return FAILED, f"{route} answers {name} {told}, not {json.dumps(value)}"
        summary = self._options.summary_field
        if step == "show" and summary != NONE and not found.get(summary):
            return FAILED, f"{route} answers without {summary!r}"
        return OK, route


def as_curl(url: str, options: SmokeOptions) -> list[str]:
    """The requests of a walk as lines for a shell; nothing is sent."""
    lines = []
    for step in STEPS:
        route = options.route(step, "SESSION")
        if route is None:
            continue
        line = f'curl -X {route[0]} {quote(url + route[1])} -H "Authorization: Bearer '
        line += f'${options.token_env}"'
        if step in _BODIES:
            body = quote(getattr(options, _BODIES[step]))
            line += f" -H 'Content-Type: application/json' -d {body}"
        lines.append(line)
    return lines
