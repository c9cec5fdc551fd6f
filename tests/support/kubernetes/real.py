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

Json = dict[str, Any]
ADMIN = "token-of-an-admin"
_READY_PATH = "/readyz"
# What a cluster has not by itself.
_DEFINED = {
    "GatewayClass": "gatewayclasses",
    "Gateway": "gateways",
    "HTTPRoute": "httproutes",
    "ReferenceGrant": "referencegrants",
}


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
        ]
        found = RealApiServer(f"https://127.0.0.1:{port}", certificates / "apiserver.crt")

        def ready(_: Server) -> bool:
            with suppress(httpx.HTTPError, ssl.SSLError):
                return found.authority.exists() and found.send("GET", _READY_PATH).is_success
            return False

        with start("kube-apiserver", argv, folder, port=port, ready=ready):
            for kind, plural in _DEFINED.items():
                found.create(
                    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
                    _definition(kind, plural),
                )
            yield found


def _etcd(folder: Path) -> Server:
    etcd = programs.installed("etcd", "Run scripts/dev/kubernetes.")
    port, peer = free_port(), free_port()
    argv: list[str | Path] = [
        *(etcd, f"--data-dir={folder / 'etcd'}", f"--listen-client-urls=http://127.0.0.1:{port}"),
        f"--advertise-client-urls=http://127.0.0.1:{port}",
        *(f"--listen-peer-urls=http://127.0.0.1:{peer}", "--unsafe-no-fsync"),
    ]
    return start("etcd", argv, folder, port=port)


def _definition(kind: str, plural: str) -> Json:
    """A definition that a server of 1.20 accepts: the released ones have rules that it lacks."""
    open_object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": open_object, "status": open_object}}
    version = "v1beta1" if kind == "ReferenceGrant" else "v1"
    one = {"name": version, "served": True, "storage": True}
    one |= {"schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.gateway.networking.k8s.io",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
        },
        "spec": {
            "group": "gateway.networking.k8s.io",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "scope": "Cluster" if kind == "GatewayClass" else "Namespaced",
            "versions": [one],
        },
    }
