"""What lies behind the routes: the Gateway, and the Services with their pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mina_ops.errors import TrafficError
from mina_ops.operator.config.colours import Colour
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.system.patience import patient
from mina_ops.operator.traffic.gateway.api import ENDPOINTS, GATEWAY, SERVICE, KubernetesApi
from mina_ops.operator.traffic.gateway.options import GatewayOptions
from mina_ops.operator.traffic.gateway.status import ready_pods
from mina_ops.operator.traffic.model import Split
from mina_ops.waiting import wait_until

Json = dict[str, Any]
_PODS_SECONDS = 15.0
_POLL_SECONDS = 0.1


class Services:
    """Looks at what a route needs; changes nothing."""

    def __init__(
        self, settings: OperatorSettings, options: GatewayOptions, api: KubernetesApi
    ) -> None:
        self._colours = list(settings.colours.values())
        self._options = options
        self._api = api

    def colours(self) -> Mapping[str, str]:
        """The Service of new visitors -> its colour."""
        return {self._options.service_of(colour.name): colour.name for colour in self._colours}

    def require_pods(self, split: Split) -> None:
        """Return once each colour that the split serves has a pod that its Service sends to.

        A colour whose drain was taken back is ready at once, and in its Service only after the
        kubelet's next probe; whoever were sent there before that would get a 503.

        Raises:
            TrafficError: a colour still has none after 15 seconds, times MINA_OPS_PATIENCE.
        """
        for service, colour in self.colours().items():
            if not split.serves(colour):
                continue
            pods = wait_until(
                lambda service=service: self._pods(service),  # type: ignore[misc]
                patient(_PODS_SECONDS),
                pause=_POLL_SECONDS,
                enough=lambda found: found != 0,
            )
            if pods == 0:
                raise TrafficError(
                    f"No pod of {colour} is ready in Service {service}; traffic is as it was. See "
                    f"`kubectl get endpointslices -l kubernetes.io/service-name={service}`."
                )

    def problems(self) -> list[str]:
        """What is missing, one sentence each.

        Raises:
            TrafficError: the API server does not answer.
        """
        found = list(self._gateway())
        for colour in self._colours:
            found += self._service(self._options.service_of(colour.name))
            found += self._sessions(colour)
        return found

    def _gateway(self) -> Iterator[str]:
        options = self._options
        name = options.gateway
        gateway = self._api.get(GATEWAY, name, options.gateway_namespace)
        if gateway is None:
            where = options.gateway_namespace or self._api.access.namespace
            yield f"There is no Gateway {name} in {where}; see traffic.gateway.gateway."
            return
        listeners = [one.get("name") for one in gateway.get("spec", {}).get("listeners", [])]
        if options.listener is not None and options.listener not in listeners:
            known = ", ".join(map(str, listeners))
            yield f"Gateway {name} has no listener {options.listener}; it has {known}."

    def _sessions(self, colour: Colour) -> Iterator[str]:
        """The Services of live sessions; each instance's own, where clients may poll."""
        options = self._options
        names = colour.instances if options.by_instance else [""]
        for name in dict.fromkeys(options.sessions_of(colour.name, one) for one in names):
            service = self._api.get(SERVICE, name)
            if name != options.service_of(colour.name):
                yield from self._of(name, service)
            if service is None or not options.polling:
                continue
            if not service["spec"].get("publishNotReadyAddresses"):
                yield (
                    f"A drain takes {colour.name}'s pods out of Service {name}, and polling "
                    "sessions with them: set its publishNotReadyAddresses, or name another "
                    "Service in traffic.gateway.session_service, or set polling = false."
                )
            pods = self._pods(name)
            if pods is not None and pods > 1:
                yield (
                    f"A session of {colour.name} may be with any of the {pods} pods of Service "
                    f"{name}, so polling ones break: give each instance a Service of its own "
                    "(traffic.gateway.session_service with {instance}), or set polling = false."
                )

    def _service(self, name: str) -> Iterator[str]:
        yield from self._of(name, self._api.get(SERVICE, name))

    def _of(self, name: str, service: Json | None) -> Iterator[str]:
        if service is None:
            yield f"There is no Service {name} in {self._api.access.namespace}."
            return
        ports = [port.get("port") for port in service["spec"].get("ports") or []]
        if self._options.port not in ports:
            known = ", ".join(map(str, ports)) or "none"
            yield f"Service {name} has no port {self._options.port}, it has {known}."

    def _pods(self, service: str) -> int | None:
        """How many of a Service's pods take requests; None: this API server cannot tell."""
        found = self._api.listed(ENDPOINTS, f"kubernetes.io/service-name={service}")
        return None if found is None else ready_pods(found)
