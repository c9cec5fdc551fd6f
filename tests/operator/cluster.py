"""A cluster for a site: an API server, Services with pods that are probed, and a real Traefik."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from mina_ops import shipped
from mina_ops.demo.processes import Server, start
from tests.support.kubernetes.objects import Json
from tests.support.kubernetes.roles import allowing
from tests.support.kubernetes.server import ApiServer
from tests.support.wait import eventually

NAMESPACE = "mina"
TOKEN = "token-of-mina-ops"
GATEWAY_API = "gateway.networking.k8s.io/v1"
RBAC = shipped.folder("deployment") / "kubernetes/gateway/rbac.yml"
_PROBE_SECONDS = 0.25
_KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: tests
contexts: [{{name: tests, context: {{cluster: tests, user: mina-ops, namespace: {namespace}}}}}]
clusters: [{{name: tests, cluster: {{server: "{server}"}}}}]
users: [{{name: mina-ops, user: {{token: {token}}}}}]
"""


class Cluster:
    """What a kubelet and a controller of endpoints would do for the site's instances.

    Args:
        pods: colour -> instance -> where it listens, as `host:port`.
        port: of the Gateway's one listener.
    """

    def __init__(
        self, api: ApiServer, pods: Mapping[str, Mapping[str, tuple[str, int]]], port: int
    ) -> None:
        self.api = api
        self._pods = pods
        self._stop = threading.Event()
        # Else a probe that began before a pod died would be written after one that saw it dead.
        self._probes = threading.Lock()
        self._thread = threading.Thread(target=self._probe_for_ever, daemon=True)
        self._is_there = False
        put = self.put
        put("v1", "namespaces", "", {"kind": "Namespace", "metadata": {"name": NAMESPACE}})
        spec: Json = {"controllerName": "traefik.io/gateway-controller"}
        put(GATEWAY_API, "gatewayclasses", "", _object("GatewayClass", "traefik", spec))
        listener = {"name": "web", "protocol": "HTTP", "port": port}
        listener["allowedRoutes"] = {"namespaces": {"from": "Same"}}
        spec = {"gatewayClassName": "traefik", "listeners": [listener]}
        put(GATEWAY_API, "gateways", NAMESPACE, _object("Gateway", "mina", spec))
        for colour, instances in pods.items():
            self._service(f"mina-{colour}", {})
            for name in instances:
                self._service(f"mina-{colour}-{name}", {"publishNotReadyAddresses": True})
        self._service("settled", {})
        match = {"path": {"type": "Exact", "value": "/settled"}}
        rule = {"matches": [match], "backendRefs": [{"name": "settled", "port": 80}]}
        spec = {"parentRefs": [{"name": "mina"}], "rules": [rule]}
        put(GATEWAY_API, "httproutes", NAMESPACE, _object("HTTPRoute", "settled", spec))
        self._mark(False)
        self.probe()

    def put(self, version: str, plural: str, namespace: str, value: Json) -> None:
        """Write an object as some other controller would."""
        key = (f"{version}/{plural}", namespace, value["metadata"]["name"])
        self.api.objects.write(key, {"apiVersion": version, **value}, "tests")

    def probe(self) -> None:
        """Look at every pod once, and tell the endpoints."""
        with self._probes:
            for colour, instances in self._pods.items():
                for name, (host, port) in instances.items():
                    state = _state(host, port)
                    self._endpoint(f"mina-{colour}", name, host, port, state == "ready")
                    self._endpoint(f"mina-{colour}-{name}", name, host, port, state != "gone")

    def settle(self, port: int) -> None:
        """Return when Traefik, at this port, has heard of all pods that are there now.

        Told by one more endpoint, which comes or goes after all others: with it the API server
        answers 404 through the Gateway, without it the Gateway says 503.
        """
        self.probe()
        self._is_there = not self._is_there
        self._mark(self._is_there)
        wanted = 404 if self._is_there else 503
        eventually(lambda: _status(port) == wanted, message="Traefik does not follow the cluster")

    def _mark(self, is_there: bool) -> None:
        host, _, port = self.api.url.removeprefix("http://").partition(":")
        self._endpoint("settled", "0", host, int(port), is_there)

    @contextmanager
    def running(self) -> Iterator[Cluster]:
        """Itself, while pods are probed."""
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join()

    def _service(self, name: str, more: Json) -> None:
        spec = {"ports": [{"name": "http", "port": 80, "protocol": "TCP"}], **more}
        self.put("v1", "services", NAMESPACE, _object("Service", name, spec))

    def _endpoint(self, service: str, pod: str, host: str, port: int, ready: bool) -> None:
        labels = {"kubernetes.io/service-name": service}
        value: Json = {
            "kind": "EndpointSlice",
            "metadata": {"name": f"{service}-{pod}", "labels": labels},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
            "endpoints": [{"addresses": [host], "conditions": {"ready": ready}}],
        }
        key = ("discovery.k8s.io/v1/endpointslices", NAMESPACE, value["metadata"]["name"])
        found = self.api.objects.get(key)
        if found is None or found["endpoints"] != value["endpoints"]:
            self.put("discovery.k8s.io/v1", "endpointslices", NAMESPACE, value)

    def _probe_for_ever(self) -> None:
        while not self._stop.wait(_PROBE_SECONDS):
            self.probe()


@contextmanager
def cluster(
    folder: Path, pods: Mapping[str, Mapping[str, tuple[str, int]]], port: int
) -> Iterator[Cluster]:
    """A cluster, and `kubeconfig` in the folder, by which mina-ops may do what its Role says."""
    with ApiServer().running() as api:
        api.allows = allowing({TOKEN}, RBAC)
        text = _KUBECONFIG.format(server=api.url, token=TOKEN, namespace=NAMESPACE)
        (folder / "kubeconfig").write_text(text)
        with Cluster(api, pods, port).running() as found:
            yield found


def start_traefik(binary: Path, folder: Path, api: ApiServer, port: int) -> Server:
    """A Traefik whose only provider is the cluster's Gateway; it logs requests in `access.json`."""
    argv = [
        *(binary, f"--entryPoints.web.address=127.0.0.1:{port}"),
        *(
            "--providers.kubernetesgateway=true",
            f"--providers.kubernetesgateway.endpoint={api.url}",
        ),
        "--providers.kubernetesgateway.token=token-of-traefik",
        # By itself it gathers changes for two seconds; tests switch more often than people.
        "--providers.providersThrottleDuration=10ms",
        *("--global.checkNewVersion=false", "--global.sendAnonymousUsage=false"),
        "--log.level=ERROR",
        *(f"--accesslog.filepath={folder}/access.json", "--accesslog.format=json"),
    ]
    return start("traefik", argv, folder, port=port)


def _object(kind: str, name: str, spec: Json) -> Json:
    return {"kind": kind, "metadata": {"name": name}, "spec": spec}


def _status(port: int) -> int:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        link.request("GET", "/settled", headers={"Connection": "close"})
        return link.getresponse().status
    finally:
        link.close()


def _state(host: str, port: int) -> str:
    """`ready`, `unready` or, where nobody listens, `gone`."""
    link = http.client.HTTPConnection(host, port, timeout=5)
    state = "gone"
    with suppress(OSError, http.client.HTTPException):
        link.request("GET", "/api/health/ready", headers={"Connection": "close"})
        state = "ready" if link.getresponse().status == 200 else "unready"
    link.close()
    return state
