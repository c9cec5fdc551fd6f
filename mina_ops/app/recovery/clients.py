"""Clients that may come back, and what is kept of each."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from flask.json.tag import TaggedJSONSerializer

_JSON = TaggedJSONSerializer()
# What `ws`, under socket.io-client in node, asks for; other clients without a name do not.
_NODE_EXTENSIONS = "permessage-deflate; client_max_window_bits"


@dataclass
class Client:
    """One client's place in one namespace."""

    pid: str
    eio_sid: str
    namespace: str
    since: float
    sid: str = ""
    cookie: frozenset[str] = frozenset()
    """Keys of the session that the handshake's cookie brought: they are never restored."""
    held: list[tuple[str, list[Any]]] | None = None
    """Events that wait until those before them were sent again."""
    replayed: set[str] = field(default_factory=set)
    saved: str = ""
    """Its session when it was last written down."""


def new_pid() -> str:
    """A name that nobody can guess: whoever knows it may take the client's place."""
    return secrets.token_urlsafe(16)


def bears_marks(environ: Mapping[str, Any], auth: object) -> bool:
    """Whether a client takes one more argument with each event.

    Browsers and node run stock socket.io-client, which does. A handler of python-socketio's client
    would fail, so a client of any other kind has to ask for it: `auth={"recovery": True}`.
    """
    if isinstance(auth, Mapping) and ("recovery" in auth or "pid" in auth):
        return bool(auth.get("recovery", True))
    agent = str(environ.get("HTTP_USER_AGENT", ""))
    if agent:
        return agent.startswith(("Mozilla/", "node"))
    query = str(environ.get("QUERY_STRING", ""))
    asks = str(environ.get("HTTP_SEC_WEBSOCKET_EXTENSIONS", ""))
    return asks == _NODE_EXTENSIONS and -1 < query.find("EIO=") < query.find("transport=")


def without_recovery(auth: object) -> object:
    """What the host's connect handler gets: its own part of the auth."""
    if not isinstance(auth, Mapping):
        return auth
    rest = {k: v for k, v in auth.items() if k not in ("pid", "offset", "recovery")}
    return rest or None


def cookie_keys(app: Flask, environ: Mapping[str, Any]) -> frozenset[str]:
    """Keys of the session that a handshake brings along."""
    session = app.session_interface.open_session(app, app.request_class(dict(environ)))
    return frozenset(session or ())


def session_text(client: Client, environ: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """What handlers have put into a client's sessions, as text; "" if that is nothing.

    A value that Flask's own session could not keep is left out.
    """
    flask_session = environ.get("saved_session") or {}
    kept = {k: v for k, v in flask_session.items() if k not in client.cookie}
    if not kept and not own:
        return ""
    try:
        return _JSON.dumps({"flask": kept, "own": dict(own)})
    except TypeError:
        return _JSON.dumps({"flask": _keepable(kept), "own": _keepable(own)})


def sessions_from(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(Flask's session, Socket.IO's session) from `session_text`."""
    if not text:
        return {}, {}
    both = _JSON.loads(text)
    return dict(both["flask"]), dict(both["own"])


def _keepable(values: Mapping[str, Any]) -> dict[str, Any]:
    kept = {}
    for name, value in values.items():
        try:
            _JSON.dumps(value)
        except TypeError:
            continue
        kept[name] = value
    return kept
