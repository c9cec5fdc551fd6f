from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mina_ops.demo import programs
from mina_ops.errors import ToolMissing


def _executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_an_installed_server_comes_before_the_wheels(tmp_path: Path) -> None:
    redis = _executable(tmp_path / "redis-server")
    nginx = _executable(tmp_path / "nginx")
    assert programs.redis_server(str(tmp_path)) == redis
    assert programs.nginx(str(tmp_path)) == nginx


def test_folders_of_path_come_before_the_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = _executable(tmp_path / "nginx")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert programs.nginx() == mine


def test_servers_outside_of_a_users_path_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sbin = _executable(tmp_path / "sbin" / "haproxy")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(programs, "_SYSTEM_FOLDERS", (str(sbin.parent),))
    assert programs.installed("haproxy", "Install it.") == sbin


@pytest.mark.parametrize(
    ("find", "version_option"),
    [(programs.redis_server, "--version"), (programs.nginx, "-v")],
)
def test_the_wheels_programs_run_where_nothing_is_installed(find, version_option: str) -> None:
    binary = find("")
    assert Path(sys.prefix) in binary.parents
    subprocess.run([binary, version_option], check=True, capture_output=True)


def test_gunicorn_is_the_interpreters_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(_executable(tmp_path / "gunicorn").parent))
    assert programs.gunicorn() == Path(sys.executable).parent / "gunicorn"


def test_without_gunicorn_beside_the_interpreter_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ToolMissing, match=r"mina-ops\[demo\]"):
        programs.gunicorn()


@pytest.mark.parametrize(
    ("find", "advice"),
    [
        (programs.redis_server, "Debian's redis-server"),
        (programs.nginx, "Debian's nginx"),
        (programs.node, "Node.js 18"),
    ],
)
def test_a_missing_program_says_what_to_install(
    find, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    with pytest.raises(ToolMissing, match=advice):
        find("")


def test_a_file_that_may_not_be_executed_is_no_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _executable(tmp_path / "gunicorn").chmod(0o644)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ToolMissing):
        programs.gunicorn()
