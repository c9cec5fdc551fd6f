"""What is kept of a client that may come back: its ids, and what handlers put into its session."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from flask.json.tag import TaggedJSONSerializer

_JSON = TaggedJSONSerializer()
# The websocket extensions that the `ws` package asks for, which socket.io-client uses in node. It
# sends no user agent; other clients without one ask for other extensions.
_NODE_EXTENSIONS = "permessage-deflate; client_max_window_bits"


@dataclass
class Client:
    """One client in one namespace, while it is connected to this process."""

    pid: str
    """Its private id: whoever sends it gets the client's rooms, session and events."""
    eio_sid: str
    namespace: str
    since: float
    """When it joined, seconds since the epoch; kept when it is recovered."""
    sid: str = ""
    cookie: frozenset[str] = frozenset()
    """Keys of the session that the handshake's cookie brought; these are never restored."""
    held: list[tuple[str, list[Any]]] | None = None
    """(event id, packets) that wait while missed events are sent; None: nothing has to wait."""
    replayed: set[str] = field(default_factory=set)
    """Ids of missed events that it got, so that the message queue's copy is not sent, too."""
    saved: str = ""
    """Its session, see `session_text`, as it was last saved."""


def new_pid() -> str:
    """A private id that nobody can guess."""
    return secrets.token_urlsafe(16)


def bears_marks(environ: Mapping[str, Any], auth: object) -> bool:
    """Whether a client may be sent a mark as one more argument of each event.

    Browsers and node run stock socket.io-client, which takes it off. In other clients, such as
    python-socketio's, a handler would fail with it, so they have to ask for it:
    `auth={"recovery": True}`.
    """
    if isinstance(auth, Mapping) and ("recovery" in auth or "pid" in auth):
        return bool(auth.get("recovery", True))
    agent = str(environ.get("HTTP_USER_AGENT", ""))
    if agent:
        return agent.startswith(("Mozilla/", "node"))
    query = str(environ.get("QUERY_STRING", ""))
    asks = str(environ.get("HTTP_SEC_WEBSOCKET_EXTENSIONS", ""))
    return asks == _NODE_EXTENSIONS and -1 < query.find("EIO=") < query.find("transport=")


def marks_shown(auth: object, namespace: str) -> Mapping[str, Any]:
    """`pid` and `offset` by which a client wants to be recovered in one namespace.

    Stock socket.io-client has an `auth` for each namespace. Python's clients have one for all, and
    ours says there `{"recovery": {namespace: {"pid", "offset"}}}`.
    """
    if not isinstance(auth, Mapping):
        return {}
    by_namespace = auth.get("recovery")
    shown = by_namespace.get(namespace) if isinstance(by_namespace, Mapping) else auth
    return shown if isinstance(shown, Mapping) else {}


def without_recovery(auth: object) -> object:
    """The `auth` that the host's connect handler gets: without the keys of recovery."""
    if not isinstance(auth, Mapping):
        return auth
    rest = {k: v for k, v in auth.items() if k not in ("pid", "offset", "recovery")}
    return rest or None


def cookie_keys(app: Flask, environ: Mapping[str, Any]) -> frozenset[str]:
    """The keys of the Flask session that a handshake's cookie brings."""
    session = app.session_interface.open_session(app, app.request_class(dict(environ)))
    return frozenset(session or ())


def session_text(client: Client, environ: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """What handlers have put into a client's sessions, as JSON text; "" if that is nothing.

    A value that Flask's own session could not keep is left out.

    Args:
        environ: the handshake's, which holds Flask's session.
        own: the Socket.IO session of the client in its namespace.
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
