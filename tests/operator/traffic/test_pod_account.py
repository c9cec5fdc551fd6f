"""The pod's own account, over TLS: its token is replaced every hour, as the kubelet does it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from mina_ops.errors import TrafficError
from mina_ops.operator.api.leases import Holder
from mina_ops.operator.config import settings
from mina_ops.operator.traffic import open_driver
from tests.operator.balancers import write_toml
from tests.operator.cluster import NAMESPACE, RBAC
from tests.operator.fronts import new_certificate
from tests.operator.stand_in import StandIns
from tests.support.kubernetes.roles import allowing
from tests.support.kubernetes.server import ApiServer

MINE = Holder("0123456789-a", "release", "somebody", "pod", 0, ttl_seconds=30.0)
TRAFFIC = '[traffic]\ndriver = "gateway"\n[traffic.gateway]\ngateway = "mina"\n'


@dataclass
class Account:
    """A folder that looks as the kubelet makes it: links to a folder that is replaced as one."""

    folder: Path
    versions: int = 0

    def project(self, **files: str) -> None:
        """Write all files anew, and swap them in by one rename."""
        self.versions += 1
        made = self.folder / f"..{self.versions}"
        made.mkdir(parents=True)
        for name, text in files.items():
            (made / name.replace("_", ".")).write_text(text)
            if not (link := self.folder / name.replace("_", ".")).is_symlink():
                link.symlink_to(f"..data/{link.name}")
        (self.folder / "..new").symlink_to(made.name)
        (self.folder / "..new").rename(self.folder / "..data")


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    for name in [name for name in os.environ if name.startswith("KUBE")]:
        monkeypatch.delenv(name)
    return Account(tmp_path / "account")


def test_a_driver_in_a_pod_goes_on_when_its_token_and_authority_are_replaced(
    tmp_path: Path, apps: StandIns, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = new_certificate(tmp_path)
    authority = (tmp_path / "cert.pem").read_text()
    toml = write_toml(tmp_path, apps, 1, f'{TRAFFIC}account = "account"\n')
    with ApiServer(certificate).running() as api:
        api.allows = allowing({"first", "second"}, RBAC)
        api.tokens = {"first"}
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(api.port))
        account.project(token="first\n", ca_crt=authority, namespace=NAMESPACE)
        driver = open_driver(settings.load(toml))
        assert driver.hold(MINE) == MINE
        # The namespace, too, is what the account says: nothing in mina-ops.toml names one.
        assert api.objects.get(("coordination.k8s.io/v1/leases", NAMESPACE, "mina-ops-mina"))

        api.tokens = {"second"}
        with pytest.raises(TrafficError, match="does not know who we are"):
            driver.hold(MINE)
        account.project(token="second\n", ca_crt=authority, namespace=NAMESPACE)
        assert driver.hold(MINE) == MINE

        api.take_certificate(new_certificate(tmp_path))
        with pytest.raises(TrafficError, match="does not answer"):
            driver.hold(MINE)
        authority = (tmp_path / "cert.pem").read_text()
        account.project(token="second\n", ca_crt=authority, namespace=NAMESPACE)
        assert driver.hold(MINE) == MINE
        driver.free(MINE.id)
        assert driver.holder() is None
