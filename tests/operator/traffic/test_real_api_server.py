"""The Gateway driver on Kubernetes' own API server; run by `make test-kubernetes` alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from mina_ops import shipped
from mina_ops.demo.processes import free_port, start
from mina_ops.errors import TrafficError
from mina_ops.operator.api.leases import Holder
from mina_ops.operator.config import settings
from mina_ops.operator.traffic import open_driver
from mina_ops.operator.traffic.model import Split
from tests.operator.balancers import Balancer, write_toml
from tests.operator.stand_in import StandIns, stand_ins
from tests.support.kubernetes.real import ADMIN, RealApiServer, real_api_server
from tests.support.needs import need
from tests.support.traefik import traefik
from tests.support.wait import eventually

CACHE = os.environ.get("MINA_TEST_KUBERNETES", "")
pytestmark = pytest.mark.skipif(not CACHE, reason="run by `make test-kubernetes`")
TOKEN = "token-of-mina-ops"
ACCOUNT = "system:serviceaccount:mina:mina-ops"
MANIFESTS = shipped.folder("deployment") / "kubernetes/gateway"
GATEWAY_API = "/apis/gateway.networking.k8s.io/v1"
ROUTE = f"{GATEWAY_API}/namespaces/mina/httproutes/mina"
_PATHS = {
    "ServiceAccount": "/api/v1/namespaces/mina/serviceaccounts",
    "Service": "/api/v1/namespaces/mina/services",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/mina/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/mina/rolebindings",
    "Deployment": "/apis/apps/v1/namespaces/mina/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/mina/statefulsets",
    "HTTPRoute": f"{GATEWAY_API}/namespaces/mina/httproutes",
    "Gateway": f"{GATEWAY_API}/namespaces/mina/gateways",
    "Namespace": "/api/v1/namespaces",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/mina/endpointslices",
}


def green(percent: int) -> Split:
    return Split({"blue": 100 - percent, "green": percent})


@dataclass
class Site:
    """The cluster, and the site behind its Traefik."""

    api: RealApiServer
    balancer: Balancer


def manifests(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((MANIFESTS / f"{name}.yml").read_text()))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An API server with our Role, the Services of two colours, and Traefik before them."""
    folder, cache = tmp_path_factory.mktemp("kubernetes"), Path(CACHE)
    tokens, binary = {TOKEN: ACCOUNT}, need(traefik)
    with stand_ins() as apps, real_api_server(folder, cache, tokens) as api:
        port = free_port()
        for one in manifests("gateway"):
            if one["kind"] == "Gateway":
                one["spec"]["listeners"][0] = {"name": "web", "protocol": "HTTP", "port": port}
            api.create(_PATHS[one["kind"]], one)
        spec = {"controllerName": "traefik.io/gateway-controller"}
        body = {"metadata": {"name": "traefik"}, "spec": spec}
        kind = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass"}
        api.create(f"{GATEWAY_API}/gatewayclasses", {**kind, **body})
        for one in manifests("rbac"):
            api.create(_PATHS[one["kind"]], one)
        _services(api, apps)
        (folder / "kubeconfig").write_text(yaml.safe_dump(_kubeconfig(api)))
        traffic = '[traffic]\ndriver = "gateway"\n[traffic.gateway]\nkubeconfig = "kubeconfig"\n'
        traffic += 'gateway = "mina"\npolling = false\n'
        toml = write_toml(folder, apps, port, traffic)
        argv = [
            *(binary, f"--entryPoints.web.address=127.0.0.1:{port}"),
            "--providers.kubernetesgateway=true",
            f"--providers.kubernetesgateway.endpoint={api.url}",
            f"--providers.kubernetesgateway.token={ADMIN}",
            f"--providers.kubernetesgateway.certauthfilepath={api.authority}",
            *("--global.checkNewVersion=false", "--global.sendAnonymousUsage=false"),
            *("--providers.providersThrottleDuration=10ms", "--log.level=ERROR"),
        ]
        with start("traefik", argv, folder, port=port) as server:
            driver = open_driver(settings.load(toml))
            driver.install()
            yield Site(api, Balancer(folder, port, toml, driver, lambda: server, server))


def _services(api: RealApiServer, apps: StandIns) -> None:
    """A Service of each colour with one pod that is ready."""
    for colour, (instance, *_) in apps.instances.items():
        name = {"metadata": {"name": f"mina-{colour}", "namespace": "mina"}}
        ports = [{"name": "http", "port": 80}]
        api.create(_PATHS["Service"], {**name, "spec": {"ports": ports}})
        api.create(_PATHS["EndpointSlice"], _slice(f"mina-{colour}", instance.port))


def _slice(service: str, port: int) -> dict[str, Any]:
    """The Service's one pod, as a controller would tell of it."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": service, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
    }


def _kubeconfig(api: RealApiServer) -> dict[str, Any]:
    cluster = {"server": api.url, "certificate-authority": str(api.authority)}
    context = {"cluster": "real", "user": "mina-ops", "namespace": "mina"}
    return {
        "current-context": "real",
        "clusters": [{"name": "real", "cluster": cluster}],
        "users": [{"name": "mina-ops", "user": {"token": TOKEN}}],
        "contexts": [{"name": "real", "context": context}],
    }


def test_a_split_is_applied_with_our_role_alone_and_seen_to_serve(site: Site) -> None:
    driver = site.balancer.driver
    for percent in (10, 25, 0, 100):
        applied = driver.apply(green(percent))
        assert driver.read() == applied.after
        assert site.balancer.shares(100) == {"blue": 100 - percent, "green": percent}
    assert driver.apply(green(100)).after.generation == applied.after.generation
    route = site.api.send("GET", ROUTE).json()
    weights = [one["weight"] for one in route["spec"]["rules"][-1]["backendRefs"]]
    assert weights == [0, 100]
    (ours,) = [
        entry
        for entry in route["metadata"]["managedFields"]
        if "f:rules" in entry["fieldsV1"].get("f:spec", {})
    ]
    assert (ours["manager"], ours["operation"]) == ("mina-ops", "Apply")


def test_what_others_own_and_changed_is_told_and_taken_back(site: Site) -> None:
    driver = site.balancer.driver
    driver.apply(green(10))
    labels = {"app.kubernetes.io/managed-by": "argocd"}
    kind = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
    theirs = {**kind, "metadata": {"name": "mina", "labels": labels}}
    answer = site.api.send("PATCH", f"{ROUTE}?fieldManager=argocd&force=true", theirs)
    assert answer.is_success, answer.text
    with pytest.raises(TrafficError, match=r"argocd.*install --force"):
        driver.apply(green(20))
    driver.take_over()
    edited = site.api.send("GET", ROUTE).json()
    edited["spec"]["rules"][-1]["backendRefs"][0]["weight"] = 77
    assert site.api.send("PUT", f"{ROUTE}?fieldManager=kubectl-edit", edited).is_success
    with pytest.raises(TrafficError, match="changed by kubectl-edit at 2"):
        driver.read()
    driver.take_over()
    assert driver.read().split == green(10)


def test_the_lock_is_a_lease(site: Site) -> None:
    mine = Holder("0123456789-a", "release", "somebody", "host", 0, ttl_seconds=30.0)
    driver = site.balancer.driver
    assert driver.hold(mine) == mine
    assert driver.hold(mine) == mine
    other = Holder("0123456789-b", "switch", "somebody", "host", 0, ttl_seconds=30.0)
    assert (driver.hold(other) or other).id == mine.id
    driver.free(mine.id)
    assert driver.holder() is None


def test_our_role_allows_no_more_than_that(site: Site) -> None:
    for method, path in (
        ("GET", "/api/v1/namespaces/mina/secrets"),
        ("GET", "/api/v1/namespaces/mina/pods"),
        ("DELETE", ROUTE),
        ("GET", f"{GATEWAY_API}/namespaces/default/httproutes/mina"),
    ):
        assert site.api.send(method, path, token=TOKEN).status_code == 403, path


def test_a_token_that_is_made_for_a_pod_is_enough(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the kubelet asks for and projects: a signed token that is bound to the account."""
    wish = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1"}
    made = site.api.create(
        f"{_PATHS['ServiceAccount']}/mina-ops/token", {**wish, "spec": {"expirationSeconds": 600}}
    )
    (tmp_path / "token").write_text(made["status"]["token"])
    (tmp_path / "ca.crt").write_text(site.api.authority.read_text())
    (tmp_path / "namespace").write_text("mina")
    host, _, port = site.api.url.removeprefix("https://").partition(":")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    toml = tmp_path / "mina-ops.toml"
    text = site.balancer.toml.read_text()
    toml.write_text(text.replace('kubeconfig = "kubeconfig"', f'account = "{tmp_path}"'))
    driver = open_driver(settings.load(toml))
    driver.apply(green(40))
    assert site.balancer.shares(100) == {"blue": 60, "green": 40}
    (tmp_path / "token").write_text("not-signed")
    with pytest.raises(TrafficError, match="does not know who we are"):
        driver.read()


@pytest.mark.parametrize("name", ["deployments", "statefulsets", "httproutes"])
def test_the_shipped_manifests_are_accepted(site: Site, name: str) -> None:
    for one in manifests(name):
        answer = site.api.send("POST", f"{_PATHS[one['kind']]}?dryRun=All", one)
        assert answer.status_code in (201, 409), answer.text


def test_check_says_ready_once_the_controller_has_taken_the_routes_up(site: Site) -> None:
    eventually(
        lambda: site.balancer.driver.check() == [], message=str(site.balancer.driver.check())
    )
