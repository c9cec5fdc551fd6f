from __future__ import annotations

import getpass
import os

import pytest

from mina_ops.operator.system.people import whoami


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError(os.getuid())

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert whoami() == f"uid {os.getuid()}"
