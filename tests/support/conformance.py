"""Test data that others wrote, which stands beside the repository."""

from __future__ import annotations

from pathlib import Path

from tests.support.needs import missing

_FOLDER = Path(__file__).parents[3] / "shared" / "conformance"


def conformance(name: str) -> Path:
    """A file of ../shared/conformance; a laptop without it skips, CI fails."""
    path = _FOLDER / name
    if not path.is_file():
        missing(f"Conformance data {name} is not at ../shared/conformance.")
    return path
