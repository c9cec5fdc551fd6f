"""Apply a split and die by SIGKILL just before step N: `killed_applier.py TOML PERCENT N`.

A step is a call by which the driver changes the disk or talks to the load balancer. Ends with 0
if fewer steps were taken.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mina_ops.operator.config import settings
from mina_ops.operator.traffic import open_driver
from mina_ops.operator.traffic.model import Split

_STEPS = [(os, name) for name in ("mkdir", "link", "symlink", "rename", "replace", "fsync")]
_STEPS += [(socket.socket, "connect"), (socket.socket, "sendall")]
_STEPS += [(os, "unlink"), (os, "fchmod"), (socket, "create_connection"), (os, "rmdir")]


def main() -> None:
    toml, percent, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    driver = open_driver(settings.load(toml))
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


main()
