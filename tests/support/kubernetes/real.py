"""Kubernetes' own API server with an etcd, as `scripts/dev/kubernetes` has built it."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from mina_ops.demo import programs
from mina_ops.demo.processes import Server, free_port, start
from tests.support.wait import eventually

Json = dict[str, Any]
ADMIN = "token-of-an-admin"
_READY_PATH = "/readyz"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_GATEWAY_API, _DISCOVERY = "gateway.networking.k8s.io", "discovery.k8s.io"


@dataclass(frozen=True)
class Definition:
    """A kind that a cluster of this age has not by itself."""

    kind: str
    plural: str
    group: str = _GATEWAY_API
    version: str = "v1"


# All that Traefik watches, and it does nothing before it has seen each of them.
_DEFINED = (
    Definition("GatewayClass", "gatewayclasses"),
    Definition("Gateway", "gateways"),
    Definition("HTTPRoute", "httproutes"),
    Definition("GRPCRoute", "grpcroutes"),
    Definition("TLSRoute", "tlsroutes"),
    Definition("BackendTLSPolicy", "backendtlspolicies"),
    Definition("ReferenceGrant", "referencegrants", version="v1beta1"),
    # 1.20 has the beta alone. As a kind of our own it is not validated, so it takes loopback.
    Definition("EndpointSlice", "endpointslices", _DISCOVERY),
)


@dataclass
class RealApiServer:
    """A running one."""

    url: str
    authority: Path

    def send(self, method: str, path: str, body: Any = None, token: str = ADMIN) -> httpx.Response:
        """One request, as an admin unless told otherwise."""
        patch = {"Content-Type": "application/apply-patch+yaml"} if method == "PATCH" else {}
        headers = {"Authorization": f"Bearer {token}", **patch}
        tls = ssl.create_default_context(cafile=str(self.authority))
        with httpx.Client(base_url=self.url, verify=tls, timeout=30) as client:
            return client.request(method, path, json=body, headers=headers)

    def create(self, path: str, body: Json) -> Json:
        """Make an object; fails the test with the server's own words if it is refused."""
        answer = self.send("POST", path, body)
        assert answer.is_success, answer.text
        return dict(answer.json())


@contextmanager
def real_api_server(folder: Path, cache: Path, tokens: dict[str, str]) -> Iterator[RealApiServer]:
    """etcd and kube-apiserver in a folder, with RBAC and the Gateway API's kinds.

    Args:
        cache: where `kube-apiserver` lies.
        tokens: token -> user; `ADMIN` may do everything.
    """
    lines = [f"{token},{user},{user}" for token, user in tokens.items()]
    lines.append(f'{ADMIN},admin,admin,"system:masters"')
    (folder / "tokens.csv").write_text("\n".join(lines) + "\n")
    key = folder / "accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    with _etcd(folder) as etcd:
        port = free_port()
        certificates = folder / "certificates"
        argv: list[str | Path] = [
            *(cache / "kube-apiserver", f"--etcd-servers={etcd.url}", f"--secure-port={port}"),
            *("--bind-address=127.0.0.1", f"--cert-dir={certificates}", "--insecure-port=0"),
            *(f"--token-auth-file={folder / 'tokens.csv'}", "--authorization-mode=RBAC"),
            *(f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}"),
            "--service-account-issuer=https://kubernetes.default.svc",
            *(
                "--disable-admission-plugins=ServiceAccount",
                "--service-cluster-ip-range=10.0.0.0/24",
            ),
            *("--endpoint-reconciler-type=none", "--anonymous-auth=false"),
            # A group that is served by the server itself can have no version of ours beside it.
            f"--runtime-config={_DISCOVERY}/v1beta1=false",
        ]
        found = RealApiServer(f"https://127.0.0.1:{port}", certificates / "apiserver.crt")

        def ready(_: Server) -> bool:
            with suppress(httpx.HTTPError, ssl.SSLError):
                return found.authority.exists() and found.send("GET", _READY_PATH).is_success
            return False

        with start("kube-apiserver", argv, folder, port=port, ready=ready):
            for one in _DEFINED:
                found.create(_DEFINITIONS, _manifest(one))
            eventually(lambda: all(_is_served(found, one) for one in _DEFINED))
            yield found


def _is_served(api: RealApiServer, one: Definition) -> bool:
    """Whether objects of that kind can be listed; that follows its definition by a moment."""
    return api.send("GET", f"/apis/{one.group}/{one.version}/{one.plural}").is_success


def _etcd(folder: Path) -> Server:
    etcd = programs.installed("etcd", "Run scripts/dev/kubernetes.")
    port, peer = free_port(), free_port()
    argv: list[str | Path] = [
        *(etcd, f"--data-dir={folder / 'etcd'}", f"--listen-client-urls=http://127.0.0.1:{port}"),
        f"--advertise-client-urls=http://127.0.0.1:{port}",
        *(f"--listen-peer-urls=http://127.0.0.1:{peer}", "--unsafe-no-fsync"),
    ]
    return start("etcd", argv, folder, port=port)


def _manifest(one: Definition) -> Json:
    """A definition that a server of 1.20 accepts: the released ones have rules that it lacks."""
    open_object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {**open_object, "properties": {"spec": open_object, "status": open_object}}
    version = {"name": one.version, "served": True, "storage": True}
    version |= {"schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{one.plural}.{one.group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
        },
        "spec": {
            "group": one.group,
            "names": {"kind": one.kind, "plural": one.plural, "singular": one.kind.lower()},
            "scope": "Cluster" if one.kind == "GatewayClass" else "Namespaced",
            "versions": [version],
        },
    }
