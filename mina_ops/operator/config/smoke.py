"""The table `[smoke]` of mina-ops.toml: which routes of the app the smoke tests call.

Its defaults are the playbook's section 2.3. Each key may stand in the environment instead, as
`MINA_OPS_SMOKE_CREATE` for `create`, which then wins.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mina_ops import fields
from mina_ops.fields import TEXT, setting
from mina_ops.operator.config.tables import Table

PREFIX = "MINA_OPS_SMOKE_"
NONE = "none"
"""A step or event that the app does not have."""
STEPS = ("create", "segment", "finalize", "show", "delete")
_JSON = ("create_body", "segment_body", "created", "segmented", "finalized")
_ROUTE = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/\S*)")
_SESSION = "{session}"


@dataclass(frozen=True)
class SmokeOptions:
    """What the app calls its routes, and what they take and answer."""

    # fmt: off
    create: str = setting("POST /api/sessions", TEXT,
        "Makes a session. A step that the app does not have is `none`.")
    segment: str = setting("POST /api/sessions/{session}/segments", TEXT,
        "Adds a piece of transcript to `{session}`.")
    finalize: str = setting("POST /api/sessions/{session}/finalize", TEXT,
        "Ends the session.")
    show: str = setting("GET /api/sessions/{session}", TEXT,
        "Shows it, with its summary.")
    delete: str = setting("DELETE /api/sessions/{session}", TEXT,
        "Removes it; always called at the end.")
    create_body: str = setting('{"title": "Smoke Test Session"}', TEXT,
        "JSON that `create` takes.")
    segment_body: str = setting('{"text": "Test transcription", "speaker": "Speaker 1"}', TEXT,
        "JSON that `segment` takes.")
    created: str = setting('{"status": "active"}', TEXT,
        "JSON that must be part of the answer of `create`.")
    segmented: str = setting('{"status": "created"}', TEXT,
        "JSON that must be part of the answer of `segment`.")
    finalized: str = setting('{"status": "finalized", "summary_generated": true}', TEXT,
        "JSON that must be part of the answer of `finalize`.")
    session_field: str = setting("session_id", TEXT,
        "Field of `create`'s answer with the session's id.")
    summary_field: str = setting("summary", TEXT,
        "Field of `show`'s answer that must not be empty; or `none`.")
    namespace: str = setting("/live", TEXT,
        "Socket.IO namespace whose client comes back; or `none`.")
    event: str = setting("audio:chunk", TEXT,
        "Event with `stream`, `seq` and `data` that is acknowledged with `fresh`; or `none`.")
    token_env: str = setting("TEST_TOKEN", TEXT,
        "Variable with the bearer token that the routes take.")
    # fmt: on

    def route(self, step: str, session: object = "") -> tuple[str, str] | None:
        """Method and path of a step; None: the app has no such step."""
        given: str = getattr(self, step)
        if given == NONE:
            return None
        method, _, path = given.partition(" ")
        return method, path.replace(_SESSION, str(session))

    def json(self, key: str) -> dict[str, Any]:
        """A key that holds JSON, as the object that it is."""
        found: dict[str, Any] = json.loads(getattr(self, key))
        return found


def read(table: Table, environ: Mapping[str, str]) -> SmokeOptions:
    """The options of a table and of the environment.

    Raises:
        ConfigurationError: a key is unknown, no route or no JSON object; names it.
    """
    names = [spec.name for spec, _ in fields.declared(SmokeOptions)]
    over = {name: environ[PREFIX + name.upper()] for name in names if _is_set(environ, name)}
    if over:
        table = table.with_values(over)
    options = table.fill(SmokeOptions)
    for step in STEPS:
        _check_route(table, step, getattr(options, step))
    for key in _JSON:
        _check_json(table, key, getattr(options, key))
    return options


def _is_set(environ: Mapping[str, str], name: str) -> bool:
    return bool(environ.get(PREFIX + name.upper()))


def _check_route(table: Table, step: str, value: str) -> None:
    if value == NONE and step != "create":
        return
    found = _ROUTE.fullmatch(value)
    if not found:
        raise table.wrong(step, f"{value!r} is no route; give METHOD /path, or {NONE!r}.")
    if step != "create" and _SESSION not in value:
        raise table.wrong(step, f"{value!r} names no session; put {_SESSION} where its id goes.")


def _check_json(table: Table, key: str, value: str) -> None:
    try:
        is_object = isinstance(json.loads(value), dict)
    except ValueError:
        is_object = False
    if not is_object:
        raise table.wrong(key, f"{value!r} is no JSON object.")
