"""A wall clock that a test sets, for processes that it starts; see stepped_clock.c."""

from __future__ import annotations

import subprocess
from pathlib import Path

from mina_ops.demo import programs
from tests.support.needs import need

_SOURCE = Path(__file__).with_name("stepped_clock.c")


class Clock:
    """The wall clock of processes started with `environment`; right until it is set.

    Attributes:
        file: holds by how many seconds it is off, for whoever steps it from a shell.
    """

    def __init__(self, folder: Path) -> None:
        compiler = need(lambda: programs.installed("gcc", "Install Debian's gcc."))
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "offset"
        library = folder / "stepped_clock.so"
        options = ("-O1", "-shared", "-fPIC", "-nostdlib", "-o")
        subprocess.run([str(compiler), *options, str(library), str(_SOURCE)], check=True)
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(self.file)}
        self.set(0)

    def set(self, seconds: int) -> None:
        """Let it be off by so many seconds, negative: behind."""
        partial = self.file.with_suffix(".partial")
        partial.write_text(f"{seconds}\n")
        partial.replace(self.file)
