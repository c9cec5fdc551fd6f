"""What is committed works on anybody's machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.hosts import REPOSITORY
from tests.support.needs import missing

# Built from pieces, so that this file does not hold what it forbids.
REGISTRIES = ("pypi" + r"\.org", "pythonhosted" + r"\.org", "npmjs" + r"\.(org|com)")
OPTIONS = (r"--(extra-)?index" + "-url", "--find" + "-links")
HOMES = (r"(?<![\w.~])/(root|home/\w+|Users/\w+|work)" + r"/[\w.]",)
FORBIDDEN = re.compile("|".join((*REGISTRIES, *OPTIONS, *HOMES, re.escape(str(REPOSITORY)) + "/")))
LOCK_FILES = {"package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml"}
LOCK_FILES |= {"poetry.lock", "uv.lock", "pdm.lock", "Pipfile.lock"}


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    command = ["git", "-C", str(REPOSITORY), "ls-files", "-z"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        missing("a git checkout")
    paths = [REPOSITORY / name for name in done.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def test_no_lock_file_is_tracked(tracked: list[Path]) -> None:
    assert [path for path in tracked if path.name in LOCK_FILES] == []


def test_no_tracked_file_names_a_place_of_one_machine_or_a_registry(tracked: list[Path]) -> None:
    found = []
    for path in tracked:
        for number, line in enumerate(path.read_bytes().decode(errors="replace").splitlines(), 1):
            if hit := FORBIDDEN.search(line):
                found.append(f"{path.relative_to(REPOSITORY)}:{number}: {hit.group()}")
    assert found == []


def test_every_pin_is_a_name_and_a_version(tracked: list[Path]) -> None:
    pins = [path for path in tracked if path.parent.name == "constraints"]
    assert {path.name for path in pins} == {"mina.txt", "newest.txt"}
    for path in pins:
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


@pytest.mark.parametrize("name", ["setup", "check", "test"])
def test_a_development_script_tells_its_usage_from_anywhere(name: str, tmp_path: Path) -> None:
    script = REPOSITORY / "scripts" / "dev" / name
    done = subprocess.run(
        [script, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("Summary: ")
    assert f"Usage: scripts/dev/{name}" in done.stdout


@pytest.mark.parametrize("name", ["setup", "check"])
def test_a_development_script_refuses_what_it_does_not_know(name: str) -> None:
    script = REPOSITORY / "scripts" / "dev" / name
    done = subprocess.run([script, "--loud"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--loud" in done.stderr


@pytest.mark.parametrize("page", ["architecture.md", "contributing.md"])
def test_every_file_that_a_newcomer_is_sent_to_is_there(page: str, tracked: list[Path]) -> None:
    text = (REPOSITORY / "docs" / page).read_text()
    named = set(re.findall(r"`([a-z_./-]+\.(?:py|js|md|sh))`", text))
    assert len(named) > 5
    paths = [f"/{path.relative_to(REPOSITORY)}" for path in tracked]
    lost = [name for name in named if not any(path.endswith(f"/{name}") for path in paths)]
    assert lost == []
