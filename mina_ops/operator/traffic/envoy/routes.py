"""Envoy's routes, and the split as their data: one file, replaced by a rename.

Lua in the listener sorts a request by that data and says where to (`x-mina-to`, a cluster) and how
(`x-mina-how`, a route with its own rules for trying again). Example of the data:

    {"generation": 7, "colours": "blue,green", "percent": 25, "user:12345": "green",
     "release:v1.0.0": "blue", "instance:blue.0": true}

While requests are mirrored there are also "mirror", "mirror_percent", "mirror_seconds" and, in
seconds since 1970, "mirror_until": Lua makes no copy after that.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from mina_ops.errors import ConfigurationError, TrafficError
from mina_ops.operator.traffic.envoy.clusters import TYPE, Json, shadow_name
from mina_ops.operator.traffic.mirror import Mirror
from mina_ops.operator.traffic.model import Split, require_colours

NAME = "mina"
LUA = "envoy.filters.http.lua"
_RETRY = TYPE + "extensions.retry."
_SOCKET_IDLE_SECONDS = 3600
_USER, _RELEASE, _INSTANCE = "user:", "release:", "instance:"


def refused_or_silent(rounds: int) -> Json:
    """A handshake goes on to the next instance, and after `rounds` tries to the next priority."""
    conditions = "retriable-status-codes,connect-failure,reset"
    return _retries(2, conditions, rounds, {"retriable_status_codes": [503]})


def only_if_draining() -> Json:
    """A handshake goes on to the other colour if this one says that it was ordered to drain."""
    draining = {"name": "x-mina-refused", "string_match": {"exact": "draining"}}
    return _retries(1, "retriable-headers", 1, {"retriable_headers": [draining]})


def if_nobody_is_there(rounds: int) -> Json:
    """Only what reached no process is tried again: a request that kills one kills one."""
    return _retries(2, "connect-failure", rounds, {})


def if_missing() -> Json:
    """A file that one colour lacks is asked of the other."""
    conditions = "retriable-status-codes,connect-failure"
    return _retries(1, conditions, 1, {"retriable_status_codes": [404]})


def action(to: Json, idle_seconds: int, retries: Json | None = None) -> Json:
    """A route's action; an answer may take as long as it likes, but not be silent for longer."""
    more = {} if retries is None else {"retry_policy": retries}
    return {**to, "timeout": "0s", "idle_timeout": f"{idle_seconds}s", **more}


def routes(read_timeout_seconds: int, colours: Iterable[str]) -> list[Json]:
    """The routes of the site, without the one that bears the split.

    For what may be mirrored there is a second route for each colour that may get the copy.
    """
    ways = {
        "plain": (read_timeout_seconds, if_nobody_is_there(1)),
        "pinned": (read_timeout_seconds, if_nobody_is_there(2)),
        "assets": (read_timeout_seconds, if_missing()),
        "session": (_SOCKET_IDLE_SECONDS, None),
        "handshake": (_SOCKET_IDLE_SECONDS, refused_or_silent(2)),
        "shared": (_SOCKET_IDLE_SECONDS, refused_or_silent(1)),
    }
    mirrored = [
        _route(
            f"{how}, mirrored to {colour}",
            *ways[how],
            {"request_mirror_policies": [{"cluster": shadow_name(colour)}]},
        )
        for colour in colours
        for how in ("plain", "assets")
    ]
    return [*(_route(how, *rules) for how, rules in ways.items()), *mirrored]


def _route(how: str, seconds: int, retries: Json | None, more: Json | None = None) -> Json:
    to = {"cluster_header": "x-mina-to", **(more or {})}
    return {
        "match": {
            "prefix": "/",
            "headers": [{"name": "x-mina-how", "string_match": {"exact": how}}],
        },
        "route": action(to, seconds, retries),
    }


def configuration(site_routes: list[Json], data: Mapping[str, Any]) -> Json:
    """The routes as Envoy takes them, with the split as data of the route that sorts."""
    sorting = {
        "match": {"prefix": "/"},
        "direct_response": {"status": 500},
        "metadata": {"filter_metadata": {LUA: dict(data)}},
    }
    host = {
        "name": NAME,
        "domains": ["*"],
        "request_headers_to_remove": ["x-mina-to", "x-mina-how"],
        "routes": [*site_routes, sorting],
    }
    return {"name": NAME, "virtual_hosts": [host]}


def data_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """The data in routes that `configuration` made.

    Raises:
        KeyError, IndexError, TypeError: they are others.
    """
    sorting = found["virtual_hosts"][0]["routes"][-1]
    return dict(sorting["metadata"]["filter_metadata"][LUA])


def data_into(found: Json, data: Mapping[str, Any]) -> None:
    """Replace the data in routes that `configuration` made; raises as `data_of` does."""
    sorting = found["virtual_hosts"][0]["routes"][-1]
    sorting["metadata"]["filter_metadata"][LUA] = dict(data)


def only_instances(data: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the data that tells which instances there are."""
    return {key: value for key, value in data.items() if key.startswith(_INSTANCE)}


def to_data(split: Split, generation: int) -> dict[str, Any]:
    """The split as data; the instances are not in it."""
    second = list(split.percent)[1]
    return {
        "generation": generation,
        "colours": ",".join(split.percent),
        "percent": split.percent[second],
        **{_USER + user: colour for user, colour in split.cohorts.items()},
        **{_RELEASE + release: colour for colour, release in split.releases.items()},
        **_mirror_to_data(split.mirror),
    }


def _mirror_to_data(mirror: Mirror | None) -> dict[str, Any]:
    if mirror is None:
        return {}
    return {
        "mirror": mirror.to,
        "mirror_percent": mirror.percent,
        "mirror_seconds": mirror.seconds,
        "mirror_until": int(time.time()) + mirror.seconds,
    }


def _mirror_of(data: Mapping[str, Any]) -> Mirror | None:
    """The mirror that Envoy makes copies by; None once its time is over."""
    if "mirror" not in data or time.time() >= data["mirror_until"]:
        return None
    percent, seconds = int(data["mirror_percent"]), int(data["mirror_seconds"])
    return Mirror(str(data["mirror"]), percent, seconds)


def instances_data(instances: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Which instances there are, so that a session finds the one that made it."""
    return {
        f"{_INSTANCE}{colour}.{instance}": True
        for colour, addresses in instances.items()
        for instance in addresses
    }


def from_data(data: Mapping[str, Any], colours: tuple[str, str]) -> tuple[Split, int]:
    """The split and its generation.

    Raises:
        TrafficError: it is none, or one of other colours.
    """
    try:
        require_colours("Envoy", str(data["colours"]).split(","), colours)
        share = int(data["percent"])
        named = {k.removeprefix(_USER): v for k, v in data.items() if k.startswith(_USER)}
        releases = {v: k.removeprefix(_RELEASE) for k, v in data.items() if k.startswith(_RELEASE)}
        percent = {colours[0]: 100 - share, colours[1]: share}
        split = Split(percent, named, releases, _mirror_of(data))
        return split, int(data["generation"])
    except (KeyError, TypeError, ValueError, ConfigurationError) as exc:
        raise TrafficError("Envoy's routes hold no split; run `mina-ops traffic install`.") from exc


def _retries(most: int, conditions: str, rounds: int, more: Json) -> Json:
    return {
        "retry_on": conditions,
        "num_retries": most,
        "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.01s"},
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {"@type": _RETRY + "host.previous_hosts.v3.PreviousHostsPredicate"},
            }
        ],
        # Each try is a draw among two: five of them met the same dead instance again in one
        # handshake of 240, fifty in none.
        "host_selection_retry_max_attempts": 50,
        "retry_priority": {
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": {
                "@type": _RETRY + "priority.previous_priorities.v3.PreviousPrioritiesConfig",
                "update_frequency": rounds,
            },
        },
        **more,
    }
