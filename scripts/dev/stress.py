"""Run the tests on a machine that is busy, and on which processes stand still now and then.

    .venv/bin/python scripts/dev/stress.py [pytest's arguments ...]

Beside pytest two busy loops run, and every few seconds a process below it, taken at random, is
stopped for 2.5 s. Whatever fails here fails some day in CI. Takes about 20 minutes.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

LOOPS = 2
STOPPED_SECONDS = 2.5
BETWEEN_SECONDS = (4.0, 8.0)


def main() -> int:
    """pytest's exit code."""
    argv = [sys.executable, "-m", "pytest", "--numprocesses", "2", "--dist", "loadfile"]
    stops = 0
    with busy(), subprocess.Popen([*argv, *sys.argv[1:]]) as tests:
        while tests.poll() is None:
            time.sleep(random.uniform(*BETWEEN_SECONDS))  # noqa: S311 - spreads the stops
            stops += stop_one_below(tests.pid)
    print(f"{stops} times a process stood still for {STOPPED_SECONDS:g} s")
    return tests.returncode


@contextmanager
def busy() -> Iterator[None]:
    """Loops that take all the time they get."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(LOOPS)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def stop_one_below(pid: int) -> bool:
    """Whether a process was stopped for a while; one that a test has stopped is left alone."""
    with suppress(psutil.Error):
        family = psutil.Process(pid).children(recursive=True)
        if not family:
            return False
        chosen = random.choice(family)  # noqa: S311 - any will do
        if chosen.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE):
            return False
        chosen.suspend()
        time.sleep(STOPPED_SECONDS)
        chosen.resume()
        return True
    return False


if __name__ == "__main__":
    raise SystemExit(main())
