"""All that Envoy is given: what it starts with, and the files that it watches from then on.

    <state>/envoy.json          its start: where to look, the admin socket, the most connections
    <state>/site.json           the site as it was installed last, whole, for us
    <state>/live/clusters.json  \\
    <state>/live/listeners.json  > what Envoy reads, again whenever one is replaced
    <state>/live/routes.json    /  with the split in it
"""

from __future__ import annotations

import json
from typing import Any

from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.traffic.envoy import clusters, listeners, routes
from mina_ops.operator.traffic.envoy.clusters import TYPE, Json
from mina_ops.operator.traffic.envoy.options import EnvoyOptions
from mina_ops.operator.traffic.model import Split
from mina_ops.operator.traffic.templates import Rendering, fill, fingerprint_of

_CLUSTER = TYPE + "config.cluster.v3.Cluster"
_LISTENER = TYPE + "config.listener.v3.Listener"
_ROUTES = TYPE + "config.route.v3.RouteConfiguration"
_SECRET = TYPE + "extensions.transport_sockets.tls.v3.Secret"
_CONNECTIONS = "envoy.resource_monitors.global_downstream_max_connections"


def bootstrap(options: EnvoyOptions) -> Rendering:
    """What Envoy is started with; a change of it needs a start of Envoy."""
    dynamic = {
        "cds_config": _watched(options, "clusters"),
        "lds_config": _watched(options, "listeners"),
    }
    value = {**_base(options), "dynamic_resources": dynamic}
    fingerprint = fingerprint_of(json.dumps(value))
    value["node"] = {"id": "mina-ops", "cluster": "mina", "metadata": {"mina_ops": fingerprint}}
    return Rendering(_dump(value), fingerprint)


def site(settings: OperatorSettings, options: EnvoyOptions) -> Rendering:
    """The whole site, without the split: clusters, listeners, routes and their data."""
    first, second = settings.colours.values()
    lua = fill("envoy.lua.j2", settings, options, {})
    rds = {
        "rds": {
            "route_config_name": routes.NAME,
            "config_source": _watched(options, "routes"),
        }
    }
    value: Json = {
        "clusters": [*clusters.clusters(first, second), *clusters.clusters(second, first)],
        "listeners": [
            listener
            for colour in (first, second)
            for listener in listeners.inside_listeners(colour.name, options.read_timeout_seconds)
        ],
        "routes": routes.routes(options.read_timeout_seconds, settings.colours),
        "instances": routes.instances_data({c.name: c.instances for c in (first, second)}),
    }
    value["listeners"].append(listeners.site_listener(options, lua, rds))
    return Rendering(_dump(value), fingerprint(*versions(value)))


def versions(found: Json) -> tuple[str, str, str]:
    """A version for each of clusters, routes and listeners, which changes with its content.

    Envoy keeps the version of the answer by which it changed something last.
    """
    sorting = [found["routes"], found["instances"]]
    parts = (found["clusters"], sorting, found["listeners"])
    clusters_, routes_, listeners_ = (fingerprint_of(json.dumps(part)) for part in parts)
    return clusters_, routes_, listeners_


def fingerprint(*parts: str) -> str:
    """The fingerprint of a site by its versions, in the order of `versions`."""
    return fingerprint_of(" ".join(parts))


def files(found: Json, split: Split, generation: int) -> dict[str, str]:
    """The watched files: name -> text, in the order in which Envoy must learn of them.

    Args:
        found: what `site` made.
    """
    of_clusters, of_routes, of_listeners = versions(found)
    data = {**routes.to_data(split, generation), **found["instances"]}
    sorting = routes.configuration(found["routes"], data)
    return {
        "clusters": _answer(of_clusters, _CLUSTER, found["clusters"]),
        "routes": _answer(f"{generation}-{of_routes}", _ROUTES, [sorting]),
        "listeners": _answer(of_listeners, _LISTENER, found["listeners"]),
    }


def with_split(document: Json, split: Split, generation: int) -> str:
    """The same watched file with another split.

    Raises:
        KeyError, IndexError, TypeError: it is no file of ours.
    """
    of_routes = str(document["version_info"]).partition("-")[2]
    found = document["resources"][0]
    instances = routes.only_instances(routes.data_of(found))
    routes.data_into(found, {**routes.to_data(split, generation), **instances})
    return _dump({**document, "version_info": f"{generation}-{of_routes}"})


def certificate_file(options: EnvoyOptions) -> str:
    """Where Envoy finds the certificate, which it reads anew when the file is replaced."""
    secret = {"name": routes.NAME, "tls_certificate": _certificate(options)}
    return _answer("1", _SECRET, [secret])


def whole(options: EnvoyOptions, found: Json, split: Split) -> str:
    """All of it as one static configuration, for Envoy's own test."""
    data = {**routes.to_data(split, 1), **found["instances"]}
    inline = {"route_config": routes.configuration(found["routes"], data)}
    static = {
        "clusters": found["clusters"],
        "listeners": [_without_files(options, listener, inline) for listener in found["listeners"]],
    }
    node = {"id": "mina-ops", "cluster": "mina"}
    # Without its admin socket, which the running one has.
    base = {key: value for key, value in _base(options).items() if key != "admin"}
    return _dump({**base, "node": node, "static_resources": static})


def _base(options: EnvoyOptions) -> Json:
    kind = TYPE + "extensions.resource_monitors.downstream_connections.v3."
    most = {
        "@type": kind + "DownstreamConnectionsConfig",
        "max_active_downstream_connections": options.most_connections,
    }
    inside = TYPE + "extensions.bootstrap.internal_listener.v3.InternalListener"
    return {
        # For this user alone: who reaches it can stop Envoy.
        "admin": {"address": {"pipe": {"path": str(options.admin), "mode": 0o600}}},
        "bootstrap_extensions": [
            {"name": "envoy.bootstrap.internal_listener", "typed_config": {"@type": inside}}
        ],
        "overload_manager": {"resource_monitors": [{"name": _CONNECTIONS, "typed_config": most}]},
    }


def _watched(options: EnvoyOptions, name: str) -> Json:
    return listeners.file_source(options.live / f"{name}.json")


def _without_files(options: EnvoyOptions, listener: Json, inline: Json) -> Json:
    """The listener with its routes and certificate in it, where it would watch files for them."""
    found: Json = json.loads(json.dumps(listener))
    for chain in found["filter_chains"]:
        manager: dict[str, Any] = chain["filters"][0]["typed_config"]
        if manager.pop("rds", None):
            manager.update(inline)
        if "transport_socket" in chain:
            common = chain["transport_socket"]["typed_config"]["common_tls_context"]
            del common["tls_certificate_sds_secret_configs"]
            common["tls_certificates"] = [_certificate(options)]
    return found


def _certificate(options: EnvoyOptions) -> Json:
    return {
        "certificate_chain": {"filename": str(options.certificate)},
        "private_key": {"filename": str(options.certificate_key)},
    }


def _answer(version: str, kind: str, resources: list[Json]) -> str:
    """A file as Envoy's discovery takes it."""
    named = [{"@type": kind, **resource} for resource in resources]
    return _dump({"version_info": version, "resources": named})


def _dump(value: Json) -> str:
    return json.dumps(value, indent=1) + "\n"
