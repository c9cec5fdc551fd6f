"""What the middleware needs to know: which paths are ours, and where requests are recorded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from mina_ops.app.web.answers import Probe, StartResponse
from mina_ops.app.web.in_flight import InFlight
from mina_ops.app.web.own_app import OwnApp

Served = tuple[str, str | None, str]
"""A request as it is counted: method, route (None: no route matched), status line."""
Durations = Mapping[Served, deque[float]]
"""Where a request's seconds go: there is a deque for whatever was served."""
Telling = Callable[[Mapping[str, Any], StartResponse], StartResponse]
"""Gives the `start_response` that says more; from the environ and the server's own."""
Log = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Paths:
    """What is not simply a request of the host.

    Attributes:
        probes: path -> probe; a path that ends in "/" takes all paths below it too.
        own: paths of our Flask routes, with all below them: not timed, and a JSON body that
            curl labelled as a form is labelled as JSON before anyone reads it as a form.
        skip: prefixes that are not timed, such as the Socket.IO path.
        left_to_host: probes that a host's route at the same path may keep.
        host_serves: whether the host has a route for a path and method.
        own_app: answers those requests for `own` that bear a token of ours, below Flask.
        to_page: gives the `start_response` for a page that names its release.
        to_newcomer: gives the one for a visitor to whom the load balancer wants us to give a key.
    """

    probes: Mapping[str, Probe]
    own: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    own_app: OwnApp | None = None
    left_to_host: Set[str] = frozenset()
    host_serves: Callable[[str, str], bool] = lambda _path, _method: False
    to_page: Telling = lambda _, start: start
    to_newcomer: Telling = lambda _, start: start


@dataclass(frozen=True)
class Recording:
    """Where requests of the host are recorded.

    Attributes:
        durations: gets what a request took, in seconds, when its response has been closed.
        log: called with the environ when a response begins, still inside the host's request
            context if there is one; None: no such call.
        in_flight: holds those that are not over.
    """

    durations: Durations
    log: Log | None = None
    in_flight: InFlight = field(default_factory=InFlight)
