"""Wraps `handle_request` of the Socket.IO server: every HTTP request of the protocol passes here.

A request that names a session always goes through to the server. A new handshake is shown to each
admission in turn, and the first refusal is its answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from mina_ops.app.context import Context
from mina_ops.app.sessions.admissions import Admissions
from mina_ops.app.sessions.links import link_of
from mina_ops.app.sessions.raw_ping import RawPings
from mina_ops.app.sessions.sessions import Sessions
from mina_ops.app.socketio_adapter import cors_headers
from mina_ops.app.web.answers import Answer, StartResponse
from mina_ops.app.web.client import client_of

Environ = dict[str, Any]

REASON_HEADER = "X-Mina-Refused"
"""Says why a handshake was turned away: draining, leaving, full, unready, ..."""

# The body that Engine.IO's own servers send, so clients know it.
SESSION_UNKNOWN = {"code": 1, "message": "Session ID unknown"}
BAD_REQUEST = {"code": 3, "message": "Bad request"}


class Handshakes:
    """Wraps `socketio.Server.handle_request`; each request starts the heartbeat if need be.

    Args:
        path: the URL path below which the server answers.
        sessions: the sessions of the same server; they count each refusal, ours or the server's.
        raw_pings: serve websockets that name no Engine.IO version.
        admissions: decide whether a new session may come in.
    """

    def __init__(
        self,
        context: Context,
        path: str,
        sessions: Sessions,
        raw_pings: RawPings,
        admissions: Admissions,
    ) -> None:
        self.app = context.app
        self._path = path
        self._sessions = sessions
        self._raw_pings = raw_pings
        self._server = sessions.server
        self._admissions = admissions
        self._identity = context.identity.headers
        self._heartbeat = context.heartbeat
        self._count = sessions.count_handshake
        self._inner = self._server.handle_request
        self._server.handle_request = self

    def __call__(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        try:
            return self._handle(environ, start)
        except Exception as exc:
            # wsproto's word for an upgrade that is none, as one without Sec-WebSocket-Key. Nothing
            # was answered yet, and the host would log a traceback and answer 500.
            if type(exc).__name__ != "RemoteProtocolError":
                raise
            return self._bad_request(environ).to_wsgi(environ, start, self._identity)

    def _handle(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        if not self._heartbeat.serving:
            self._heartbeat.start()
        query = parse_qs(environ.get("QUERY_STRING", ""))
        sid = query["sid"][0] if "sid" in query else None
        upgrades = environ.get("HTTP_UPGRADE", "").lower() == "websocket"
        if sid is None and environ.get("REQUEST_METHOD") in ("GET", "POST"):
            return self._shake_hands(environ, start, upgrades)
        if upgrades and sid is not None:
            if self._sessions.has_websocket(sid):
                # Somebody has learned the id of a session. That stays as it is: taken for its own
                # websocket, the end of this one would end it.
                return self._bad_request(environ).to_wsgi(environ, start, self._identity)
            return self._hold_link(environ, start, sid)
        if sid is not None and environ.get("REQUEST_METHOD") == "GET":
            return self._poll(environ, start, sid)
        if sid is not None and environ.get("REQUEST_METHOD") == "POST":
            return self._post(environ, start, sid)
        return self._pass_in(environ, start)

    def refusal(self, environ: Mapping[str, Any]) -> Answer | None:
        """The answer that refuses a handshake, CORS headers included; None: it may come in."""
        refused = self._admissions.refusal(environ)
        if refused is None and self._raw_pings.wants(environ):
            refused = self._raw_pings.refusal(environ)
        if refused is None:
            return None
        reason, answer = refused
        self._count(reason, client_of(environ))
        headers = {**dict(self._cors(environ)), **answer.headers, REASON_HEADER: reason}
        return _readable(environ, Answer(answer.status, answer.body, headers, answer.content_type))

    def refusal_of_upgrade(self, environ: Mapping[str, Any]) -> Answer | None:
        """`refusal` before an upgrade; None also for requests that are no handshake of ours."""
        if not environ.get("PATH_INFO", "").startswith(self._path):
            return None
        query = parse_qs(environ.get("QUERY_STRING", ""))
        if "sid" not in query:
            return self.refusal(environ)
        has_one = self._sessions.has_websocket(query["sid"][0])
        return self._bad_request(environ) if has_one else None

    def _shake_hands(
        self, environ: Environ, start: StartResponse, upgrades: bool
    ) -> Iterable[bytes]:
        answer = self.refusal(environ)
        if answer is not None:
            return answer.to_wsgi(environ, start, self._identity)
        if self._raw_pings.wants(environ):
            return self._raw_pings.serve(environ, start)
        seen = ""

        def keep_status(line: str, headers: Any, *rest: Any) -> Any:
            nonlocal seen
            seen = line
            return start(line, headers, *rest)

        try:
            if upgrades:
                return self._hold_link(environ, keep_status, None)
            return self._pass_in(environ, keep_status)
        except Exception:
            if "mina_ops.sid" not in environ:
                self._count("error", client_of(environ))
            raise
        finally:
            if seen[:1] in ("4", "5"):
                self._count(f"http_{seen[:3]}", client_of(environ))

    def _hold_link(
        self, environ: Environ, start: StartResponse, sid: str | None
    ) -> Iterable[bytes]:
        """Serve a websocket; its session knows the socket until then, so a drain can cut it."""
        environ["mina_ops.link"] = link_of(environ)
        if sid is not None:
            self._sessions.attach_link(sid, environ["mina_ops.link"])
        try:
            return self._pass_in(environ, start)
        finally:
            own = sid or environ.get("mina_ops.sid")
            if own is not None:
                self._end_ghost(own, handshake=sid is None)
                self._sessions.attach_link(own, None)

    def _poll(self, environ: Environ, start: StartResponse, sid: str) -> Iterable[bytes]:
        """Serve a long poll; answer 400 if its session ended meanwhile.

        Engine.IO would answer 200 without a packet. After a 400, clients of every language
        reconnect at once.
        """
        session = self._sessions.get(sid)
        if session is None:
            return self._pass_in(environ, start)
        head: list[Any] = []

        def keep_head(*arguments: Any) -> Any:
            head[:] = arguments

        session.polls += 1
        try:
            body = self._pass_in(environ, keep_head)
        finally:
            session.polls -= 1
        if body == [b""] and self._sessions.socket(sid) is None:
            return self._say_gone(environ, start)
        start(*head)
        return body

    def _post(self, environ: Environ, start: StartResponse, sid: str) -> Iterable[bytes]:
        """Take what a polling client sends; 400 if any of it came after its session's end.

        Engine.IO would answer 200 to what it drops, and raises if the session has just ended.
        """
        head: list[Any] = []

        def keep_head(*arguments: Any) -> Any:
            head[:] = arguments

        with self._sessions.incoming.post(sid) as post:
            try:
                body = self._pass_in(environ, keep_head)
            except KeyError:
                if self._sessions.socket(sid) is not None:
                    raise
                post.refused = True
        if post.refused:
            return self._say_gone(environ, start)
        start(*head)
        return body

    def _bad_request(self, environ: Mapping[str, Any]) -> Answer:
        return Answer(400, BAD_REQUEST, dict(self._cors(environ)))

    def _say_gone(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        answer = _readable(environ, Answer(400, SESSION_UNKNOWN, dict(self._cors(environ))))
        return answer.to_wsgi(environ, start, self._identity)

    def _end_ghost(self, sid: str, *, handshake: bool) -> None:
        """Close a session whose websocket died on a frame that Engine.IO could not read.

        Engine.IO itself would count it until its ping times out.
        """
        ghost = self._sessions.socket(sid)
        if ghost is not None and (handshake or ghost.upgraded):
            ghost.close(wait=False, abort=True)

    def _pass_in(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        body: Iterable[bytes] = self._inner(environ, start)
        return body

    def _cors(self, environ: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return cors_headers(self._server, environ)


def _readable(environ: Mapping[str, Any], answer: Answer) -> Answer:
    """An answer of 4xx or 5xx without its body, for clients that cannot read it.

    python-socketio's AsyncClient closes its connection before it reads such a body. Where that has
    not arrived by then, its reconnection ends for ever with a RuntimeError.
    """
    if "aiohttp" not in environ.get("HTTP_USER_AGENT", ""):
        return answer
    return replace(answer, body=None)
