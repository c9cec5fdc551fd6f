"""Apply a split and die by SIGKILL just before a step: `killed_applier.py TOML PERCENT`.

A step is a call by which the driver changes the disk or talks to the load balancer. Reads the
number of a step from each line, forks a process that dies there, and prints how that ended: 0 if
fewer steps were taken, -9 if it was killed. So the driver is imported once for all of them.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mina_ops.operator.config import settings
from mina_ops.operator.traffic import open_driver
from mina_ops.operator.traffic.base import TrafficDriver
from mina_ops.operator.traffic.model import Split

_STEPS = [(os, name) for name in ("mkdir", "link", "symlink", "rename", "replace", "fsync")]
_STEPS += [(socket.socket, "connect"), (socket.socket, "sendall")]
_STEPS += [(os, "unlink"), (os, "fchmod"), (socket, "create_connection"), (os, "rmdir")]


@contextmanager
def applier(toml: Path, percent: int) -> Iterator[Callable[[int], int]]:
    """Applies the split in a process that is killed before the step of this number."""
    argv = [sys.executable, "-m", "tests.operator.traffic.killed_applier", toml, str(percent)]
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        argv, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        numbers, endings = process.stdin, process.stdout

        def apply(last: int) -> int:
            numbers.write(f"{last}\n")
            numbers.flush()
            return int(endings.readline())

        try:
            yield apply
        finally:
            numbers.close()


def main() -> None:
    toml, percent = Path(sys.argv[1]), int(sys.argv[2])
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            # A fault is told on standard error, and as the ending 1.
            apply_until(open_driver(settings.load(toml)), percent, int(line))
            sys.exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def apply_until(driver: TrafficDriver, percent: int, last: int) -> None:
    """Apply the split and die before that step, if there are so many."""
    taken = 0

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            nonlocal taken
            taken += 1
            if taken == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return step

    for module, name in _STEPS:
        setattr(module, name, dying(getattr(module, name)))
    driver.apply(Split({"blue": 100 - percent, "green": percent}, {"12345": "green"}))


if __name__ == "__main__":
    main()
