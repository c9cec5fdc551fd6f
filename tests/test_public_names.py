"""What `import mina_ops` gives is what it promises, so a new public name is a visible change."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import mina_ops


def test_all_is_sorted_and_names_everything_that_is_public() -> None:
    for name in mina_ops.__all__:
        getattr(mina_ops, name)
    found = {
        name
        for name, value in vars(mina_ops).items()
        if not name.startswith("_")
        and not inspect.ismodule(value)
        and getattr(value, "__module__", "").startswith("mina_ops")
    }
    assert sorted(found | set(mina_ops.__all__)) == list(mina_ops.__all__)


@pytest.mark.parametrize("name", mina_ops.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(mina_ops, name)
    assert not callable(value) or inspect.getdoc(value)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Mina'"):
        mina_ops.Mina  # noqa: B018


def test_the_command_is_installed_and_knows_its_version() -> None:
    command = Path(sys.executable).parent / "mina-ops"
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    assert version("mina-ops") in done.stdout, done.stderr
