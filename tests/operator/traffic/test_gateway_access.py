"""Where the API server is and who we are there: kubeconfigs, programs, and a pod's own account."""

from __future__ import annotations

import base64
import ssl
import subprocess
from pathlib import Path

import pytest
import yaml

from mina_ops.demo import programs
from mina_ops.errors import ConfigurationError
from mina_ops.operator.traffic.gateway import access
from mina_ops.operator.traffic.gateway.options import GatewayOptions
from tests.support.needs import need


def kubeconfig(folder: Path, user: dict[str, object], **cluster: object) -> Path:
    file = folder / "config"
    contexts = [
        {"name": name, "context": {"cluster": "c", "user": "u", "namespace": namespace}}
        for name, namespace in (("one", "first"), ("two", "second"))
    ]
    value = {
        "current-context": "one",
        "contexts": contexts,
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1", **cluster}}],
        "users": [{"name": "u", "user": user}],
    }
    file.write_text(yaml.safe_dump(value))
    return file


def find(file: Path | None = None, **more: object) -> access.Access:
    options = GatewayOptions(gateway="mina", kubeconfig=file, **more)  # type: ignore[arg-type]
    return access.find(options, {})


def test_the_current_context_counts_unless_another_is_named(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path, {"token": "secret"})
    assert (find(file).namespace, find(file).authorization()) == ("first", "Bearer secret")
    assert find(file, context="two").namespace == "second"
    assert find(file, namespace="own").namespace == "own"
    with pytest.raises(ConfigurationError, match="no context 'three' among its contexts: one, two"):
        find(file, context="three")


def test_kubeconfig_names_the_file_where_the_option_does_not(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path, {"token": "secret"})
    options = GatewayOptions(gateway="mina")
    assert access.find(options, {"KUBECONFIG": f"{file}:/other"}).namespace == "first"


def test_a_token_in_a_file_is_read_each_time(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first\n")
    found = find(kubeconfig(tmp_path, {"tokenFile": "token"}))
    assert found.authorization() == "Bearer first"
    (tmp_path / "token").write_text("second\n")
    assert found.authorization() == "Bearer second"


def test_a_program_is_asked_for_a_token_once_until_that_ends(tmp_path: Path) -> None:
    program = tmp_path / "plugin"
    program.write_text(
        "#!/bin/sh\necho x >> $COUNT\n"
        'echo "{\\"kind\\": \\"ExecCredential\\", \\"status\\": {\\"token\\": \\"t-$1\\"$UNTIL}}"\n'
    )
    program.chmod(0o755)
    count = tmp_path / "count"

    def asked(until: str) -> int:
        count.unlink(missing_ok=True)
        env = [{"name": "COUNT", "value": str(count)}, {"name": "UNTIL", "value": until}]
        wish = {"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin"}
        found = find(kubeconfig(tmp_path, {"exec": {**wish, "args": ["a"], "env": env}}))
        assert [found.authorization() for _ in range(3)] == ["Bearer t-a"] * 3
        return count.read_text().count("x")

    assert asked("") == 1
    assert asked(', "expirationTimestamp": "2999-01-01T00:00:00Z"') == 1
    assert asked(', "expirationTimestamp": "2001-01-01T00:00:00Z"') == 3


def test_a_program_that_fails_is_named(tmp_path: Path) -> None:
    wish = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "false"}
    with pytest.raises(ConfigurationError, match="`false`, which the kubeconfig names"):
        find(kubeconfig(tmp_path, {"exec": wish})).authorization()
    wish["apiVersion"] = "client.authentication.k8s.io/v1alpha1"
    with pytest.raises(ConfigurationError, match="v1alpha1, not"):
        find(kubeconfig(tmp_path, {"exec": wish}))


def test_certificates_of_a_kubeconfig_are_used(tmp_path: Path) -> None:
    openssl = need(lambda: programs.installed("openssl", "Install Debian's openssl."))
    argv = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    argv += ["-subj", "/CN=mina-ops", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True)

    def data(name: str) -> str:
        return base64.b64encode((tmp_path / name).read_bytes()).decode()

    user = {"client-certificate-data": data("cert.pem"), "client-key": "key.pem"}
    cluster = {"server": "https://127.0.0.1:1", "certificate-authority-data": data("cert.pem")}
    found = find(kubeconfig(tmp_path, user, **cluster))
    assert found.authorization() == ""
    assert found.tls.verify_mode == ssl.CERT_REQUIRED
    assert [one["subject"] for one in found.tls.get_ca_certs()] == [
        ((("commonName", "mina-ops"),),)
    ]
    broken = kubeconfig(tmp_path, {**user, "client-key": "missing.pem"}, **cluster)
    with pytest.raises(ConfigurationError, match="certificate or key of one cannot be read"):
        find(broken)


def test_without_any_access_it_is_said_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"Set traffic\.gateway\.kubeconfig"):
        find(tmp_path / "none")
    (tmp_path / "text").write_text("- no\n- kubeconfig\n")
    with pytest.raises(ConfigurationError, match="is no kubeconfig"):
        find(tmp_path / "text")


def test_a_pod_without_an_account_is_told_so() -> None:
    with pytest.raises(ConfigurationError, match="serviceAccountName"):
        access.find(GatewayOptions(gateway="mina"), {"KUBERNETES_SERVICE_HOST": "127.0.0.1"})
