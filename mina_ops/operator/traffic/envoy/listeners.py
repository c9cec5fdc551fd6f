"""Envoy's listeners: the site, and for each colour four inside Envoy, for retries and copies."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from mina_ops.operator.traffic.envoy.clusters import (
    TYPE,
    Json,
    again_name,
    last_name,
    shadow_name,
    there_name,
)
from mina_ops.operator.traffic.envoy.options import EnvoyOptions
from mina_ops.operator.traffic.envoy.routes import (
    LUA,
    NAME,
    action,
    if_nobody_is_there,
    only_if_draining,
)
from mina_ops.operator.traffic.mirror import HEADER

_HTTP = TYPE + "extensions.filters.http."
_MANAGER = TYPE + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_SOCKET_IDLE_SECONDS = 3600
# What nobody outside may say: it would be taken for our own words.
_OURS = (
    *("x-mina-to", "x-mina-how", "x-mina-asked-id", "x-mina-elsewhere"),
    *("x-mina-only-if-ready", "x-mina-drain-status", HEADER.lower()),
    *("forwarded", "x-forwarded-port", "x-forwarded-prefix", "http2-settings"),
)
# What a client says about itself counts only if it is one of our own proxies.
_CLAIMS = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")
_LOG_LINE = (
    "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% - - [%START_TIME(%d/%b/%Y:%H:%M:%S +0000)%] "
    '"%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%" %RESPONSE_CODE% %BYTES_SENT% '
    '"%REQ(REFERER)%" "%REQ(USER-AGENT)%" upstream=%UPSTREAM_HOST% time=%DURATION% '
    "flags=%RESPONSE_FLAGS% tries=%UPSTREAM_REQUEST_ATTEMPT_COUNT% "
    "request_id=%REQ(X-REQUEST-ID)%\n"
)


def site_listener(options: EnvoyOptions, lua: str, rds: Json) -> Json:
    """The listener that visitors reach.

    Args:
        lua: text of the script that sorts requests.
        rds: where the routes come from, as `{"rds": ...}` or `{"route_config": ...}`.
    """
    address, port = options.binding
    chains = [_chain(options, lua, rds, is_proxy=False)]
    if options.trusted_proxies:
        match = {"source_prefix_ranges": [_range(one) for one in options.trusted_proxies]}
        chains.insert(0, {"filter_chain_match": match, **_chain(options, lua, rds, is_proxy=True)})
    return {
        "name": "mina.site",
        "address": {"socket_address": {"address": address, "port_value": port}},
        "filter_chains": chains,
    }


def inside_listeners(colour: str, read_timeout_seconds: int) -> list[Json]:
    """What a retry may lead to: the same request once more, with other headers and rules."""
    pool = action({"cluster": f"mina.{colour}.pool"}, read_timeout_seconds, if_nobody_is_there(1))
    again = {"request_headers_to_remove": ["x-mina-elsewhere"]}
    last = action({"cluster": last_name(colour)}, _SOCKET_IDLE_SECONDS, only_if_draining())
    # Refused twice already: now only who is ready takes it, so that the other colour may.
    careful = {"header": {"key": "x-mina-only-if-ready", "value": "1"}}
    there = action({"cluster": f"mina.{colour}.pool"}, _SOCKET_IDLE_SECONDS, if_nobody_is_there(1))
    return [
        _inside(again_name(colour), pool, again),
        _inside(last_name(colour), last, {"request_headers_to_add": [careful]}),
        _inside(there_name(colour), there, {}),
        _inside(shadow_name(colour), *_shadow(colour, read_timeout_seconds)),
    ]


def _shadow(colour: str, read_timeout_seconds: int) -> tuple[Json, Json]:
    """The route and the headers of a copy.

    By itself Envoy adds "-shadow" to a copy's host and its own address to the client's, so that the
    app would not know its own name (`TRUSTED_HOSTS`), nor its visitor.
    """
    route = action({"cluster": f"mina.{colour}.pool"}, read_timeout_seconds)
    said = {HEADER: "1", "x-forwarded-for": "%REQ(X-REAL-IP)%"}
    headers = {
        "request_headers_to_remove": ["x-mina-to", "x-mina-how", "x-envoy-internal"],
        "request_headers_to_add": [
            {
                "header": {"key": name, "value": value},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
            for name, value in said.items()
        ],
    }
    limit = {"timeout": f"{read_timeout_seconds}s"}
    return {**route, **limit, "host_rewrite_header": "x-forwarded-host"}, headers


def _inside(name: str, route: Json, headers: Json) -> Json:
    host = {
        "name": name,
        "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "route": route}],
        **headers,
    }
    manager = {
        "use_remote_address": False,
        "generate_request_id": False,
        "http_filters": [_router()],
        "route_config": {"name": name, "virtual_hosts": [host]},
    }
    return {
        "name": name,
        "internal_listener": {},
        "filter_chains": [{"filters": [_manager(name, manager)]}],
    }


def _chain(options: EnvoyOptions, lua: str, rds: Json, *, is_proxy: bool) -> Json:
    unheard = _OURS if is_proxy else (*_OURS, *_CLAIMS)
    # Envoy makes an id of its own for each request; Lua prefers the client's, if it is one.
    copied = {"header": {"key": "x-mina-asked-id", "value": "%REQ(X-REQUEST-ID)%"}}
    mutations: list[Json] = [{"remove": name} for name in unheard]
    mutations += [{"append": copied}, {"remove": "x-request-id"}]
    early = {
        "@type": TYPE + "extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        "mutations": mutations,
    }
    manager = {
        "use_remote_address": True,
        "xff_num_trusted_hops": 1 if is_proxy else 0,
        # By default an address of a private network may send Envoy's own orders.
        "internal_address_config": {"unix_sockets": False},
        "request_headers_timeout": "10s",
        "http_protocol_options": {"accept_http_10": True},
        "early_header_mutation_extensions": [
            {"name": "envoy.http.early_header_mutation.header_mutation", "typed_config": early}
        ],
        "http_filters": [*_inside_networks(options), _lua(lua), _router()],
        **_access_log(options),
        **rds,
    }
    return {"filters": [_manager("mina", manager)], **_tls(options)}


def _manager(prefix: str, more: Json) -> Json:
    common = {
        "@type": _MANAGER,
        "stat_prefix": prefix,
        "server_header_transformation": "PASS_THROUGH",
        "common_http_protocol_options": {
            "idle_timeout": "65s",
            # WSGI takes SCRIPT_NAME for a variable of its own, which moves a whole app.
            "headers_with_underscores_action": "DROP_HEADER",
        },
        "upgrade_configs": [{"upgrade_type": "websocket"}],
    }
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {**common, **more},
    }


def _router() -> Json:
    kind = _HTTP + "router.v3.Router"
    return {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": kind, "suppress_envoy_headers": True},
    }


def _lua(text: str) -> Json:
    kind = _HTTP + "lua.v3.Lua"
    return {
        "name": LUA,
        "typed_config": {"@type": kind, "default_source_code": {"inline_string": text}},
    }


def _inside_networks(options: EnvoyOptions) -> list[Json]:
    """Notes for Lua whether a visitor comes from inside; refuses nobody itself."""
    if not options.closed_paths or not options.inside_networks:
        return []
    inside = {
        "permissions": [{"any": True}],
        "principals": [{"remote_ip": _range(network)} for network in options.inside_networks],
    }
    rules = {"action": "ALLOW", "policies": {"inside": inside}}
    kind = _HTTP + "rbac.v3.RBAC"
    return [
        {
            "name": "envoy.filters.http.rbac",
            "typed_config": {"@type": kind, "shadow_rules": rules},
        }
    ]


def _range(network: str) -> Json:
    found = ipaddress.ip_network(network)
    return {"address_prefix": str(found.network_address), "prefix_len": found.prefixlen}


def _access_log(options: EnvoyOptions) -> Json:
    if options.access_log is None:
        return {}
    kind = TYPE + "extensions.access_loggers.file.v3.FileAccessLog"
    line = {"text_format_source": {"inline_string": _LOG_LINE}}
    log = {"@type": kind, "path": str(options.access_log), "log_format": line}
    return {"access_log": [{"name": "envoy.access_loggers.file", "typed_config": log}]}


def _tls(options: EnvoyOptions) -> Json:
    """A certificate that is renewed by a rename is read anew, and cuts no socket."""
    if options.certificate is None:
        return {}
    source = file_source(options.live / "certificate.json")
    common = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificate_sds_secret_configs": [{"name": NAME, "sds_config": source}],
    }
    kind = TYPE + "extensions.transport_sockets.tls.v3.DownstreamTlsContext"
    typed = {"@type": kind, "common_tls_context": common}
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": typed}}


def file_source(path: Path) -> Json:
    """A file as a source of configuration, read anew when another is renamed into its place."""
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}
