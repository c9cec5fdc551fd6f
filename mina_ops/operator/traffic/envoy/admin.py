"""What Envoy says it does, asked at its admin socket.

Source: Envoy's documentation, "Administration interface": /server_info, /config_dump, /clusters.
"""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

from mina_ops.errors import TrafficError
from mina_ops.operator.system.patience import patient
from mina_ops.operator.traffic.envoy import configuration, routes

_ANSWER_SECONDS = 2.0
_MEND_LISTEN = "End who has that address, or correct traffic.envoy.listen."
_CLUSTERS, _LISTENERS, _ROUTES = "ClustersConfigDump", "ListenersConfigDump", "RoutesConfigDump"


class EnvoyAdmin:
    """The admin interface of one Envoy; each question is a connection of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def bootstrap(self) -> str | None:
        """Fingerprint of what it was started with; None: not with what we made.

        Raises:
            TrafficError: Envoy does not answer. So does every other method but `loaded`.
        """
        node = self._get("/server_info").get("node", {})
        found = node.get("metadata", {}).get("mina_ops")
        return None if found is None else str(found)

    def loaded(self) -> str | None:
        """Fingerprint of the site that it serves; None: none of ours, or not all of it yet."""
        try:
            dumps = self._dumps()
        except TrafficError:
            return None
        clusters, listeners = dumps.get(_CLUSTERS, {}), dumps.get(_LISTENERS, {})
        is_warming = clusters.get("dynamic_warming_clusters") or any(
            "warming_state" in one for one in listeners.get("dynamic_listeners", [])
        )
        sorting = [
            str(one.get("version_info")).partition("-")[2]
            for one in dumps.get(_ROUTES, {}).get("dynamic_route_configs", [])
        ]
        if is_warming or len(sorting) != 1:
            return None
        found = clusters.get("version_info", ""), sorting[0], listeners.get("version_info", "")
        return configuration.fingerprint(*found)

    def data(self) -> dict[str, Any]:
        """The split and the instances, as they stand in the routes that decide about requests."""
        answer = self._get("/config_dump?resource=dynamic_route_configs")
        for one in answer.get("configs", []):
            found = one.get("route_config", {})
            if found.get("name") == routes.NAME:
                try:
                    return routes.data_of(found)
                except (KeyError, IndexError, TypeError):
                    break
        raise TrafficError(
            f"Envoy at {self.path} serves no routes of ours. Run `mina-ops traffic install`."
        )

    def problems(self) -> list[str]:
        """What it says of itself that keeps visitors out, or lets strangers at this interface."""
        dumps = self._dumps()
        found = [f"{words} {_MEND_LISTEN}" for words in _refused_listeners(dumps)]
        mode = self.path.stat().st_mode & 0o077
        if mode:
            found.append(
                f"Others than its user may reach Envoy's admin socket, and stop Envoy: "
                f"`chmod 600 {self.path}`."
            )
        address = dumps.get("BootstrapConfigDump", {}).get("bootstrap", {}).get("admin", {})
        port = address.get("address", {}).get("socket_address")
        if port is not None:
            found.append(
                f"Envoy's admin interface listens at {_address({'socket_address': port})}, where "
                "whoever reaches it can stop Envoy: start it with the file of "
                "`mina-ops traffic install`."
            )
        return found

    def words(self) -> str:
        """What it says about listeners that it could not make; "" where it says nothing."""
        try:
            found = _refused_listeners(self._dumps())
        except TrafficError:
            return ""
        return f"{' '.join(found)} {_MEND_LISTEN}" if found else ""

    def most_connections(self) -> int | None:
        """Connections of visitors that it takes at once; None where it has no limit."""
        bootstrap = self._dumps().get("BootstrapConfigDump", {}).get("bootstrap", {})
        for one in bootstrap.get("overload_manager", {}).get("resource_monitors", []):
            most = one.get("typed_config", {}).get("max_active_downstream_connections")
            if most is not None:
                return int(most)
        return None

    def unhealthy(self) -> list[str]:
        """Addresses of instances that fail their probes, of all clusters."""
        answer = self._get("/clusters?format=json")
        return sorted(
            {
                _address(host["address"])
                for cluster in answer.get("cluster_statuses", [])
                for host in cluster.get("host_statuses", [])
                if host.get("health_status", {}).get("failed_active_health_check")
            }
        )

    def _dumps(self) -> dict[str, dict[str, Any]]:
        """The parts of what it is configured with, by the name of their type."""
        parts = self._get("/config_dump").get("configs", [])
        return {str(one["@type"]).rpartition(".")[2]: one for one in parts}

    def _get(self, path: str) -> dict[str, Any]:
        connection = _UnixConnection(self.path, patient(_ANSWER_SECONDS))
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as exc:
            raise TrafficError(
                f"Envoy does not answer at its admin socket {self.path}. Is it running, with the "
                "file of `mina-ops traffic install`, as this user?"
            ) from exc
        finally:
            connection.close()
        try:
            value = json.loads(body)
        except ValueError as exc:
            raise TrafficError(f"Envoy at {self.path} answers {response.status} {path}.") from exc
        if response.status != http.client.OK or not isinstance(value, dict):
            raise TrafficError(f"Envoy at {self.path} answers {response.status} {path}.")
        return value


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _refused_listeners(dumps: dict[str, dict[str, Any]]) -> list[str]:
    return [
        f"Envoy cannot listen: {details.rstrip('.')}."
        for one in dumps.get(_LISTENERS, {}).get("dynamic_listeners", [])
        if (details := str(one.get("error_state", {}).get("details", "")))
    ]


def _address(found: dict[str, Any]) -> str:
    if "pipe" in found:
        return f"unix:{found['pipe'].get('path')}"
    address = found.get("socket_address", {})
    return f"{address.get('address')}:{address.get('port_value')}"
