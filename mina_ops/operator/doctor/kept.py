"""Whether instances keep idle connections for as long as the load balancer before them does.

A load balancer that keeps its connections to the app sends the next request on one that was idle.
gunicorn closes such a connection after 2 s. A POST that is on its way just then is lost: the load
balancer cannot know whether the app saw it, does not send it again, and answers 502. An app that
keeps connections for longer than the load balancer never closes one under a request.
"""

from __future__ import annotations

import http.client
import select
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from itertools import islice
from urllib.parse import urlsplit

from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.doctor.findings import Finding, ok, warning

KEEPING = ("gateway", "command")
"""Drivers whose load balancer keeps connections; nginx, HAProxy and Envoy, as our files set them
up, open one for each request."""
# Longer than gunicorn's 2 s, and the 5 s that its manual names as the longest for most sites.
_SECONDS = 6.0
_ANSWER_SECONDS = 5.0
# Of each colour; its instances are started alike.
_MOST = 8


def examine(settings: OperatorSettings, seconds: float = _SECONDS) -> Iterator[Finding]:
    """One finding for some instances of each colour; blocks for `seconds`, less if all close."""
    addresses = {
        f"{colour.name} {name}": url
        for colour in settings.colours.values()
        for name, url in islice((colour.processes or {"": colour.url}).items(), _MOST)
        if url.startswith("http")
    }
    with ExitStack() as open_ones:
        kept: dict[str, http.client.HTTPConnection] = {}
        for name, url in addresses.items():
            connection = _asked(url)
            if connection is not None:
                open_ones.callback(connection.close)
                kept[name.strip()] = connection
        closed = _closed(kept, seconds)
    if closed:
        yield warning(
            "balancer",
            f"{', '.join(closed)} closed a connection that was idle for {max(closed.values()):.0f} "
            "s: a POST that a load balancer sends just then gets 502",
            "gunicorn --keep-alive 95, or longer than your load balancer keeps connections "
            "(Traefik 90 s), see docs/engines.md",
        )
    elif kept:
        yield ok(
            "balancer", f"{len(kept)} instances keep idle connections for {seconds:g} s or longer"
        )


def _asked(url: str) -> http.client.HTTPConnection | None:
    """A connection that had one answer and stays open; None: there is none to keep."""
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    kind = http.client.HTTPSConnection if tls else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=_ANSWER_SECONDS)
    with suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/api/health/live")
        response = connection.getresponse()
        response.read()
        # One that says that it closes is closed by both sides, and no request is sent on it.
        if connection.sock is not None and not response.will_close:
            return connection
    connection.close()
    return None


def _closed(kept: Mapping[str, http.client.HTTPConnection], seconds: float) -> dict[str, float]:
    """Who closed its connection -> after how many seconds."""
    began = time.monotonic()
    waiting = {connection.sock: name for name, connection in kept.items()}
    closed = {}
    while waiting and (left := began + seconds - time.monotonic()) > 0:
        for sock in select.select(list(waiting), [], [], left)[0]:
            # Nobody was asked anything: what can be read now is the end of the connection.
            closed[waiting.pop(sock)] = time.monotonic() - began
    return closed
