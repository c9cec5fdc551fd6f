"""Every third party is declared and has earned its line; the wheel carries what lies beside it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.support.hosts import REPOSITORY
from tests.support.source import modules

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
CORE = PROJECT["dependencies"]
EXTRAS = PROJECT["optional-dependencies"]
# Distributions whose import has another name, and which .venv does not have.
ELSEWHERE = {"geventwebsocket": ["gevent-websocket"]}
PAGE = (REPOSITORY / "docs" / "dependencies.md").read_text()


def _names(requirements: list[str]) -> set[str]:
    names = {_normal(re.split(r"[\[<>=!~; ]", line)[0]) for line in requirements}
    return names - {"mina-ops"}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


ALL = _names(CORE) | set().union(*(_names(lines) for lines in EXTRAS.values()))


def test_everything_that_is_imported_is_declared() -> None:
    distributions = {**ELSEWHERE, **packages_distributions()}
    undeclared = {}
    for module in modules():
        for top in {name.partition(".")[0] for name in module.imports()}:
            if top in sys.stdlib_module_names or top == "mina_ops":
                continue
            providers = {_normal(name) for name in distributions.get(top, [top])}
            if not providers & ALL:
                undeclared[module.name] = top
    assert undeclared == {}


# What the playbook's card names and hosts bring; docs/dependencies.md says what uses each.
FOR_THE_HOST = {"flask-migrate", "flask-socketio", "openai"}


def test_what_is_always_installed_is_used_outside_the_demo_or_is_the_hosts() -> None:
    distributions = packages_distributions()
    tops = {
        name.partition(".")[0]
        for module in modules()
        if module.unit != "demo"
        for name in module.imports()
    }
    used = {_normal(name) for top in tops for name in distributions.get(top, [top])}
    assert _names(CORE) - used == FOR_THE_HOST


def test_the_operators_half_needs_no_extra() -> None:
    distributions = packages_distributions()
    core = _names(CORE) | _names(EXTRAS["notify"]) | _names(EXTRAS["kubernetes"])
    for module in modules():
        if module.unit.startswith("operator") or module.unit == "cli":
            tops = {name.partition(".")[0] for name in module.imports()}
            tops -= {*sys.stdlib_module_names, "mina_ops"}
            for top in tops:
                assert {_normal(name) for name in distributions.get(top, [top])} & core, module.name


WITHOUT_EXTRAS = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1:]))  # as if not installed
from click.testing import CliRunner
from flask import Flask
from flask_socketio import SocketIO
from mina_ops import MinaOps
from mina_ops.cli import COMMANDS, main

app = Flask("host")
MinaOps(app, socketio=SocketIO(app, async_mode="threading"))
with app.test_client() as client:
    assert client.get("/api/health").status_code == 200
app.extensions["mina_ops"].heartbeat.stop()
for name in COMMANDS:
    shown = CliRunner().invoke(main, [name, "--help"])
    assert shown.exit_code == 0, (name, shown.exception)
demo = CliRunner().invoke(main, ["demo"])
assert demo.exit_code == 6, (demo.output, demo.exception)
assert "pip install 'mina-ops[demo]'" in demo.output, demo.output
"""


def test_without_extras_it_serves_and_every_command_loads(tmp_path: Path) -> None:
    extras = set().union(*(_names(lines) for lines in EXTRAS.values())) - _names(CORE)
    tops = {
        top
        for top, distributions in packages_distributions().items()
        if {_normal(name) for name in distributions} & extras and re.fullmatch(r"\w+", top)
    }
    # What an optional part of ours looks for, and must do without.
    assert {"gevent", "gunicorn", "openfeature", "apprise", "psycopg"} <= tops
    # Flask-Migrate and python-socketio bring these along.
    tops -= {"flask_sqlalchemy", "socketio"}
    command = [sys.executable, "-c", WITHOUT_EXTRAS, *sorted(tops)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_dependency_has_earned_its_line(name: str) -> None:
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("pins", ["newest", "mina"])
def test_the_pins_are_complete(pins: str) -> None:
    wanted = ALL - (_names(EXTRAS["compat"]) if pins == "newest" else set())
    lines = (REPOSITORY / "constraints" / f"{pins}.txt").read_text().splitlines()
    assert wanted - {_normal(line.split("==")[0]) for line in lines} == set(), "run scripts/dev/pin"


def test_no_line_is_left_of_a_dependency_that_is_gone() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    mentioned = {name for row in rows for name in re.findall(r"`([a-z0-9-]+)`", row)}
    assert mentioned - set(EXTRAS) == ALL


@pytest.mark.integration
def test_the_wheel_carries_the_operators_files(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    command += ["--wheel-dir", str(tmp_path), str(REPOSITORY)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("mina_ops-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("nginx", "migrations", "deployment", "docs/templates", "scripts"):
        beside = [path for path in (REPOSITORY / folder).rglob("*") if path.is_file()]
        shipped = {f"mina_ops/share/{path.relative_to(REPOSITORY)}" for path in beside}
        shipped = {name for name in shipped if "/dev/" not in name and "__pycache__" not in name}
        assert {name for name in shipped if "/." not in name} <= names
    assert {"mina_ops/py.typed", "mina_ops/shipped.py"} <= names
    assert not any(name.startswith(("tests/", "scripts/", "nginx/")) for name in names)


def test_each_least_version_can_be_asked_for_known_faults() -> None:
    # As `scripts/dev/audit` reads them; an exact or open one would be left out of the question.
    runtime = [*CORE, *(line for extra in ("openfeature", "notify", "postgresql", "compat")
                        for line in EXTRAS[extra])]  # fmt: skip
    form = re.compile(r"[A-Za-z0-9_-]+(\[[a-z,]+\])?>=[0-9.]+")
    assert [line for line in runtime if not form.fullmatch(line)] == []


def test_each_accepted_fault_has_its_reason() -> None:
    text = (REPOSITORY / "scripts/dev/accepted-faults.txt").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Z]+-[A-Za-z0-9-]+ .{40,}", line)] == []
