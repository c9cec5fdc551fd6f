"""Tells an open page when another release serves now than the one that it came from.

A page names its release in each request (header `X-Mina-Release`, or `mina_release` in the query of
a Socket.IO handshake). It is told by a header, and over Socket.IO by an event, in two cases:

    the page is of v1, and v2 answers       its release is gone, or the balancer keeps no pages
    the page is of v1, v1 answers, and the  the balancer kept the page with its release, and says
    request bears X-Mina-Elsewhere          that a reload would lead to the other colour

A page may then offer a reload; see `MinaStream.onReleaseChanged` in mina-stream.js.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, quote

from mina_ops.app import socketio_adapter as adapter
from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.socketio_binding import SocketIOBinding
from mina_ops.app.web.answers import StartResponse

Environ = Mapping[str, Any]

RELEASE_KEY = "HTTP_X_MINA_RELEASE"
_ELSEWHERE_KEY = "HTTP_X_MINA_ELSEWHERE"
_QUERY = "mina_release"
CHANGED_HEADER = "X-Mina-Release-Changed"
CHANGED_EVENT = "release:changed"
_LONGEST_RELEASE = 200


class PageReleases(Component):
    """Compares the release that a page names with the one that serves.

    Templates get `mina_release`, for `<meta name="mina-release" content="{{ mina_release }}">`.
    """

    name = "releases.pages"

    def __init__(self, context: Context, binding: SocketIOBinding) -> None:
        self._identity = context.identity
        self._presence = context.presence
        context.app.jinja_env.globals.setdefault("mina_release", self._identity.version)
        binding.when_bound(self._bind)

    def telling(self, environ: Environ, start: StartResponse) -> StartResponse:
        """`start`, which adds the header for a page of a release that serves no more."""
        serves = self.serving_instead(environ, environ[RELEASE_KEY])
        if serves is None:
            return start
        header = (CHANGED_HEADER, quote(serves, safe="+"))

        def start_and_tell(line: str, headers: Any, *rest: Any) -> Any:
            return start(line, [*headers, header], *rest)

        return start_and_tell

    def serving_instead(self, environ: Environ, of_page: str) -> str | None:
        """The release that a reload would lead to; None: the page's own, as far as we know."""
        own = self._identity.version
        if of_page != own:
            return own
        other = self._other_release() if _ELSEWHERE_KEY in environ else None
        return None if other == own else other

    def _other_release(self) -> str | None:
        """What most processes of the other colour run, from memory."""
        for colour in self._identity.colours:
            versions = self._presence.summary(colour).parts.get("version") or {}
            if colour != self._identity.environment and versions:
                return str(max(versions, key=versions.__getitem__))
        return None

    def _bind(self, server: Any) -> None:
        if adapter.missing_names(server):
            return

        def answer(eio_sid: str, packet: Any) -> Callable[[], None] | None:
            said = self._said(server.environ.get(eio_sid) or {})
            if said is None:
                return None
            # From this process alone: a message queue that hangs must not delay a connect.
            wire = adapter.encode_event(server, packet.namespace or "/", [CHANGED_EVENT, said])
            return lambda: adapter.send_packets(server, eio_sid, adapter.as_packets(wire))

        adapter.wrap_connect_answer(server, answer)

    def _said(self, environ: Environ) -> dict[str, str] | None:
        query = environ.get("QUERY_STRING", "")
        if _QUERY not in query:
            return None
        of_page = parse_qs(query).get(_QUERY, [""])[0][:_LONGEST_RELEASE]
        serves = self.serving_instead(environ, of_page) if of_page else None
        return None if serves is None else {"release": serves, "page": of_page}
