"""The table in docs/engines.md is what the tests say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_table_of_engines_is_made_from_the_tests_of_the_contract() -> None:
    command = [sys.executable, "-m", "scripts.dev.engines", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run scripts.dev.engines; {done.stdout}{done.stderr}"
