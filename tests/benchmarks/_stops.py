"""What disturbs a drain of the benchmark: a process that stands still, or gets half a processor."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import psutil

from mina_ops.demo.processes import Server
from tests.app.drain.fleet import Fleet

STALL_SECONDS = 3.0
SLICE_SECONDS = 0.05
SLICES = "slices"
RANDOM = "random"


@contextmanager
def disturbed(fleet: Fleet, redis: Server, what: str, after: float) -> Iterator[None]:
    """While the body runs.

    Args:
        what: who stands still for 3 s, as a machine that pages does: `blue` (its worker), `green`,
            `redis` or `balancer`. `random`: one of them, at a time by chance. `slices`: blue's
            worker does half of the time. "": nobody.
        after: seconds until then, at most so many for `random`.
    """
    over = threading.Event()

    def disturb() -> None:
        (worker,) = psutil.Process(fleet.blue.server.pid).children()
        if what == SLICES:
            while not over.wait(SLICE_SECONDS):
                worker.suspend()
                time.sleep(SLICE_SECONDS)
                worker.resume()
        elif not over.wait(random.uniform(0, after) if what == RANDOM else after):
            servers = {"green": fleet.green.server, "redis": redis, "balancer": fleet.proxy}
            stops: Mapping[str, tuple[Callable[[], None], Callable[[], None]]] = {
                "blue": (worker.suspend, worker.resume),
                **{name: (one.pause, one.resume) for name, one in servers.items()},
            }
            who = random.choice(list(stops)) if what == RANDOM else what
            print(f"{who} stands still", file=sys.stderr, flush=True)
            stop, go_on = stops[who]
            stop()
            time.sleep(STALL_SECONDS)
            go_on()

    thread = threading.Thread(target=disturb)
    if what:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if what:
            thread.join()
