"""`mina-ops logs` over a file that a load balancer writes."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from mina_ops.cli import main
from tests.cli.test_config import GOOD


def logs(folder: Path, *words: str) -> Result:
    file = folder / "mina-ops.toml"
    log = folder / "access.log"
    file.write_text(f'{GOOD}access_log = "{log}"\n')
    return CliRunner().invoke(main, ["--config", str(file), "logs", *words])


def test_each_line_bears_its_source_and_no_control_code(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text("old\nGET /a\nGET /\x1b[31mb\n")
    done = logs(tmp_path, "nginx", "--no-follow", "-n", "2")
    assert done.exit_code == 0
    assert done.output == "nginx        GET /a\nnginx        GET /?[31mb\n"


def test_what_is_known_is_listed(tmp_path: Path) -> None:
    assert f"tail {tmp_path / 'access.log'}" in logs(tmp_path, "--list").output


def test_an_unknown_name_is_exit_2(tmp_path: Path) -> None:
    done = logs(tmp_path, "apache")
    assert done.exit_code == 2
    assert "No log 'apache'; known are nginx" in done.output


def test_with_json_each_line_is_an_object(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text("GET /a\nGET /b\n")
    lines = logs(tmp_path, "nginx", "--no-follow", "--json").stdout.splitlines()
    assert list(map(json.loads, lines)) == [
        {"log": "nginx", "line": "GET /a"},
        {"log": "nginx", "line": "GET /b"},
    ]
    assert "tail" in json.loads(logs(tmp_path, "--list", "--json").stdout)["logs"]["nginx"]
