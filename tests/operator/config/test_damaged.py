"""The sound tables of a file that is no TOML any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from mina_ops.errors import ConfigurationError
from mina_ops.operator.config import damaged

SITE = """
[public]
url = "http://127.0.0.1:8080"
[colours.blue]
url = "http://127.0.0.1:5001"
[colours.green]
url = "http://127.0.0.1:5002"
[traffic]
driver = "nginx"
"""


@pytest.mark.parametrize(
    "broken",
    ['[release]\nstrategy = "canary\n', "[release\nsteps = [100]\n", "[notify]\nx = = 1\n"],
)
def test_colours_and_traffic_are_read_whatever_another_table_looks_like(
    tmp_path: Path, broken: str
) -> None:
    file = tmp_path / "mina-ops.toml"
    file.write_text(SITE + broken + '[database]\nurl_env = "X"\n')
    said: list[str] = []
    found = damaged.load(file, said.append)
    assert list(found.colours) == ["blue", "green"]
    assert found.driver == "nginx"
    assert "is not valid TOML" in said[0]
    assert "Going on with the tables that can be read" in said[0]


def test_a_sound_file_is_read_without_a_word(tmp_path: Path) -> None:
    file = tmp_path / "mina-ops.toml"
    file.write_text(SITE)
    said: list[str] = []
    damaged.load(file, said.append)
    assert said == []


def test_a_file_without_any_sound_table_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mina-ops.toml"
    file.write_text("= =\n")
    with pytest.raises(ConfigurationError):
        damaged.load(file, print)
