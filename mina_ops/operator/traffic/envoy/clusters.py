"""Envoy's clusters: for each colour one for each way in which a request may be tried again.

    mina.blue.only.0      the instance that made a session; nothing else
    mina.blue.pool        plain requests: a ready instance; if that one is gone, any other
    mina.blue.pinned      a page's own release; if nobody is there, where its visitor is sorted to
    mina.blue.assets      files; what blue does not have is asked of green
    mina.blue.shared      new sessions while green has a share too: what blue refuses, green takes
    mina.blue.handshake   new sessions of blue alone: two tries, then mina.blue.last
    mina.blue.last        a third try, and green only if that one says that blue drains; in both it
                          is whichever instance is there, since probes notice a dead one late
    mina.blue.shadow      copies of green's requests, while blue has no visitors; what is too much
                          is not copied

Envoy tries again within a cluster, so what a retry shall reach lies there with a lower priority.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from mina_ops.errors import ConfigurationError
from mina_ops.operator.config.colours import UNIX, Colour
from mina_ops.operator.traffic.mirror import MOST_AT_ONCE

TYPE = "type.googleapis.com/envoy."
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
# Envoy's own limits of 1,024 would turn away the thousandth websocket.
_NO_LIMIT = 1_000_000

Json = dict[str, Any]


def clusters(colour: Colour, other: Colour) -> list[Json]:
    """The clusters of one colour."""
    own, others = _endpoints(colour.instances), _endpoints(other.instances)
    again, last = _inside(again_name(other.name)), _inside(last_name(colour.name))
    there, instead = _inside(there_name(colour.name)), _inside(there_name(other.name))
    name = f"mina.{colour.name}"
    ready = _checked("/api/health/ready")
    alive = _checked("/api/health/live")
    only = [
        _cluster(f"{name}.only.{instance}", _endpoints({instance: address}))
        for instance, address in colour.instances.items()
    ]
    return [
        *only,
        # While blue drains nobody is ready but an instance that has just died, for some seconds.
        _cluster(f"{name}.pool", own, _unchecked(own), more=ready),
        _cluster(f"{name}.pinned", own, [again]),
        _cluster(f"{name}.assets", own, others, more=alive),
        _cluster(f"{name}.shared", own, others, more=_LEAST_BUSY),
        _cluster(f"{name}.handshake", own, [last], more=_LEAST_BUSY),
        _cluster(last_name(colour.name), [there], [instead]),
        _cluster(shadow_name(colour.name), [_inside(shadow_name(colour.name))], more=_BOUNDED),
    ]


def again_name(colour: str) -> str:
    """The listener inside Envoy that takes a plain request as if no release had been named."""
    return f"mina.{colour}.again"


def last_name(colour: str) -> str:
    """The listener inside Envoy, and the cluster, for a handshake that was refused twice."""
    return f"mina.{colour}.last"


def there_name(colour: str) -> str:
    """The listener inside Envoy that takes a handshake to whichever instance is there."""
    return f"mina.{colour}.there"


def shadow_name(colour: str) -> str:
    """The listener inside Envoy, and the cluster, for copies of requests."""
    return f"mina.{colour}.shadow"


_BOUNDED = {
    "circuit_breakers": {
        "thresholds": [
            {
                "max_connections": MOST_AT_ONCE,
                "max_requests": MOST_AT_ONCE,
                "max_pending_requests": MOST_AT_ONCE,
            }
        ]
    }
}
_LEAST_BUSY = {"lb_policy": "LEAST_REQUEST"}


def _cluster(name: str, *priorities: Iterable[Json], more: Mapping[str, Any] | None = None) -> Json:
    limit = dict.fromkeys(
        ("max_connections", "max_pending_requests", "max_requests", "max_retries"), _NO_LIMIT
    )
    # A connection to the app ends with its answer: a kept one could be closed by the app just as
    # a POST is sent on it, and that POST would be lost.
    protocol = {
        "@type": TYPE + _HTTP_OPTIONS.removeprefix("envoy."),
        "common_http_protocol_options": {"max_requests_per_connection": 1},
        "explicit_http_config": {"http_protocol_options": {}},
    }
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "circuit_breakers": {"thresholds": [limit]},
        # If no instance is ready, all are asked: one that drains still answers plain requests.
        "common_lb_config": {"healthy_panic_threshold": {"value": 1}},
        "typed_extension_protocol_options": {_HTTP_OPTIONS: protocol},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [
                {"priority": priority, "lb_endpoints": list(endpoints)}
                for priority, endpoints in enumerate(priorities)
            ],
        },
        **(more or {}),
    }


def _checked(path: str) -> Json:
    check = {
        "timeout": "2s",
        "interval": "2s",
        "no_traffic_interval": "2s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        "reuse_connection": False,
        "http_health_check": {"path": path},
    }
    return {"health_checks": [check], "ignore_health_on_host_removal": True}


def _unchecked(endpoints: Iterable[Json]) -> list[Json]:
    """The same without probes: they are tried whatever they say of being ready."""
    off = {"health_check_config": {"disable_active_health_check": True}}
    return [{"endpoint": {**one["endpoint"], **off}} for one in endpoints]


def _endpoints(instances: Mapping[str, str]) -> list[Json]:
    return [{"endpoint": {"address": _address(address)}} for address in instances.values()]


def _inside(listener: str) -> Json:
    return {"endpoint": {"address": {"envoy_internal_address": {"server_listener_name": listener}}}}


def _address(address: str) -> Json:
    if address.startswith(UNIX):
        return {"pipe": {"path": address.removeprefix(UNIX)}}
    host, _, port = address.rpartition(":")
    return {"socket_address": {"address": _resolved(host.strip("[]")), "port_value": int(port)}}


def _resolved(host: str) -> str:
    """A host's address as it is now; like nginx, Envoy learns another one by `install`."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        found = sorted(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except OSError as exc:
        raise ConfigurationError(f"The host {host!r} of an instance has no address.") from exc
    # IPv4 sorts first: `localhost` is ::1 as well, where an app seldom listens.
    return str(found[0][4][0])
