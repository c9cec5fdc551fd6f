"""A process that was stopped as it wrote keeps nobody from writing."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from mina_ops import files


def test_a_line_is_appended_though_somebody_holds_the_file_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text("one\n")
    held = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        files.append(path, "two")
    finally:
        os.close(held)
    assert path.read_text() == "one\ntwo\n"
