"""Packages for an environment that a test makes, from wherever this machine gets its own."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

UV = Path(sys.executable).with_name("uv")
# uv reads none of pip's settings, so they are given to it in its own words.
_WORDS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
}


def install(python: Path, *wanted: str) -> None:
    """Install by uv, which takes 3 s where pip takes 40; again from pip's indexes if that fails.

    PyPI itself comes first: what a test of the docs installs is what a stranger gets today.
    """
    argv = [str(UV), "pip", "install", "-q", "--python", str(python), *wanted]
    if subprocess.run(argv, capture_output=True, timeout=300, check=False).returncode:
        run(*argv, **indexes_of_pip())


def indexes_of_pip() -> dict[str, str]:
    """Where pip finds packages here, as variables for uv; {} where that is PyPI alone."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found: dict[str, str] = {}
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        word = _WORDS.get(name.rpartition(".")[2])
        if word is not None:
            # The environment's come first, and count before those of files.
            several = "," if word == "UV_FIND_LINKS" else " "
            found.setdefault(word, several.join("".join(shlex.split(value)).split()))
    return found


def run(*argv: str, **environment: str) -> None:
    """Run a program that must succeed."""
    done = subprocess.run(
        argv,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{shlex.join(argv)}\n{done.stdout}{done.stderr}"
