from __future__ import annotations

from pathlib import Path

import pytest

from mina_ops import shipped
from mina_ops.errors import ConfigurationError
from tests.support.hosts import REPOSITORY


def test_in_a_checkout_the_folder_is_the_repositorys() -> None:
    assert shipped.folder("nginx") == REPOSITORY / "nginx"


def test_installed_it_is_the_copy_in_the_package_and_not_what_lies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "mina_ops" / "share" / "nginx"
    copy.mkdir(parents=True)
    (tmp_path / "nginx").mkdir()
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path / "mina_ops")
    assert shipped.folder("nginx") == copy


def test_a_folder_that_is_missing_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match="Install mina-ops again"):
        shipped.folder("sextants")
