"""Where the API server is, and who we are there: a kubeconfig, or the pod's own account.

What is secret is read when it is needed: a pod's token is replaced by the kubelet every hour.
"""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mina_ops.errors import ConfigurationError
from mina_ops.operator.traffic.gateway import credentials
from mina_ops.operator.traffic.gateway.options import GatewayOptions

_HOST, _PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"


@dataclass(frozen=True)
class Access:
    """One API server and one identity there.

    Attributes:
        server: its address.
        namespace: of the site's objects.
        tls: whom to trust, with the client's certificate if there is one.
        authorization: the value of that header, asked for each request; "": none.
    """

    server: str
    namespace: str
    tls: ssl.SSLContext
    authorization: Callable[[], str]


def find(options: GatewayOptions, environ: Mapping[str, str] | None = None) -> Access:
    """The access that the options and the environment name.

    Raises:
        ConfigurationError: there is none, or it cannot be used; the message says what is missing.
    """
    environ = os.environ if environ is None else environ
    named = options.kubeconfig or _first(environ.get("KUBECONFIG", ""))
    if named is None and options.context is None and _HOST in environ:
        return _in_cluster(options, environ)
    file = named or Path("~/.kube/config").expanduser()
    return _from_file(file, options)


def _in_cluster(options: GatewayOptions, environ: Mapping[str, str]) -> Access:
    host, port = environ[_HOST], environ.get(_PORT, "443")
    account = options.account
    try:
        tls = ssl.create_default_context(cafile=str(account / "ca.crt"))
        namespace = options.namespace or (account / "namespace").read_text().strip()
    except OSError as exc:
        raise ConfigurationError(
            f"This is a pod ({_HOST} is set) without an account: {account} cannot be read. Set "
            "serviceAccountName, traffic.gateway.account or traffic.gateway.kubeconfig."
        ) from exc
    address = f"[{host}]" if ":" in host else host
    return Access(
        f"https://{address}:{port}", namespace, tls, credentials.token_in(account / "token")
    )


def _from_file(file: Path, options: GatewayOptions) -> Access:
    whole = _load(file)
    wanted = options.context or str(whole.get("current-context") or "")
    context = _named(whole, "contexts", "context", wanted, file)
    cluster = _named(whole, "clusters", "cluster", context.get("cluster"), file)
    user = _named(whole, "users", "user", context.get("user"), file) if "user" in context else {}
    namespace = options.namespace or str(context.get("namespace") or "default")
    server = str(cluster.get("server") or "")
    if not server.startswith(("http://", "https://")):
        raise ConfigurationError(f"{file}: the cluster of {wanted} has no server address.")
    try:
        tls = _tls(cluster, user, file.parent)
    except (OSError, ValueError) as exc:
        raise ConfigurationError(
            f"{file}: a certificate or key of {wanted} cannot be read."
        ) from exc
    return Access(server, namespace, tls, credentials.of_user(user, file))


def _load(file: Path) -> Mapping[str, Any]:
    try:
        import yaml
    except ImportError as exc:
        raise ConfigurationError(
            "Reading a kubeconfig needs PyYAML: pip install 'mina-ops[kubernetes]'."
        ) from exc
    try:
        whole = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigurationError(
            f"The kubeconfig {file} cannot be read: {exc.strerror}. Set traffic.gateway.kubeconfig."
        ) from exc
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{file} is no YAML.") from exc
    if not isinstance(whole, dict):
        raise ConfigurationError(f"{file} is no kubeconfig.")
    return whole


def _named(
    whole: Mapping[str, Any], kind: str, key: str, name: object, file: Path
) -> Mapping[str, Any]:
    listed = [one for one in whole.get(kind) or [] if isinstance(one, dict)]
    for one in listed:
        if one.get("name") == name and isinstance(one.get(key), dict):
            return dict(one[key])
    known = ", ".join(str(one.get("name")) for one in listed) or "none"
    raise ConfigurationError(f"{file} has no {key} {name!r} among its {kind}: {known}.")


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any], folder: Path) -> ssl.SSLContext:
    authority = _content(cluster, "certificate-authority", folder)
    if not str(cluster.get("server")).startswith("https:"):
        # Reading the system's certificates takes longer than a request.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    certificate = _content(user, "client-certificate", folder)
    key = _content(user, "client-key", folder)
    if certificate and key:
        # Python's TLS takes a client's certificate from a file alone.
        with tempfile.NamedTemporaryFile() as both:
            both.write(certificate + b"\n" + key)
            both.flush()
            tls.load_cert_chain(both.name)
    return tls


def _content(values: Mapping[str, Any], key: str, folder: Path) -> bytes | None:
    if data := values.get(f"{key}-data"):
        return base64.b64decode(str(data))
    if name := values.get(key):
        return (folder / Path(str(name)).expanduser()).read_bytes()
    return None


def _first(paths: str) -> Path | None:
    """The first of the files that KUBECONFIG lists; several are not merged."""
    found = next((part for part in paths.split(os.pathsep) if part), None)
    return Path(found).expanduser() if found else None
