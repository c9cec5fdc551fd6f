"""The operator's half with 200 instances of each colour, beside two.

    python -m tests.benchmarks.instances --json

Stand-in instances answer at once behind a real nginx and a real HAProxy. Measured are the commands
as a person types them, Python's start included: `status`, `traffic install` of the configuration
that is there, `switch` through the gate, which asks each instance of the colour that takes over;
and the driver's own switch under load.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from mina_ops.demo import programs
from tests.benchmarks._report import Report, arguments
from tests.benchmarks.switch import (
    SETTLE_SECONDS,
    OutsideApps,
    outside_apps,
    series,
    split_to,
)
from tests.operator.balancers import Balancer, haproxy_in_front, nginx_in_front

SIZES = (2, 200)
COMMANDS = 6
SWITCHES = 100
MOST_STATUS_SECONDS = 1.0

Front = Callable[[Path, OutsideApps], AbstractContextManager[Balancer]]


def main() -> int:
    """Measure both engines with each size; 0 if every goal was met."""
    options = arguments(__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--sizes", default=",".join(map(str, SIZES)), help="of each colour")
    given = options.parse_args()
    report = Report(given.json)
    haproxy = programs.installed("haproxy", "Install Debian's haproxy.")
    fronts: dict[str, Front] = {
        "nginx": partial(nginx_in_front, binary=programs.nginx()),
        "haproxy": partial(haproxy_in_front, binary=haproxy),
    }
    for name, front in fronts.items():
        for size in map(int, given.sizes.split(",")):
            with tempfile.TemporaryDirectory() as place:
                _measure(report, f"{name}_{size}", front, Path(place), size)
    return report.finish()


def _measure(report: Report, name: str, front: Front, folder: Path, size: int) -> None:
    with outside_apps(folder, size) as apps, front(folder, apps) as balancer:
        status = _median(lambda _: _run(balancer, "status"))
        report.figure(f"{name}_status_seconds", status)
        if size == max(SIZES):
            report.goal(f"{name}_status_seconds", round(status, 3), MOST_STATUS_SECONDS)
        installed = _median(lambda _: _run(balancer, "traffic", "install"))
        report.figure(f"{name}_install_seconds", installed)
        by_hand = _median(lambda turn: _run(balancer, "switch", *_way(turn), "--instant"))
        report.figure(f"{name}_switch_command_seconds", by_hand)

        def switch(colour: str) -> None:
            balancer.driver.apply(split_to(colour))

        outcome = series(apps, balancer.port, switch, SWITCHES, SETTLE_SECONDS)
        report.figure(f"{name}_switch_ms_p50", statistics.median(outcome.took))
        report.figure(f"{name}_switch_ms_max", max(outcome.took))
        report.goal(f"{name}_failed_requests", outcome.counts["failed"], 0)


def _way(turn: int) -> tuple[str, str]:
    return ("blue", "green") if turn % 2 == 0 else ("green", "blue")


def _median(take: Callable[[int], float]) -> float:
    return statistics.median(take(turn) for turn in range(COMMANDS))


def _run(balancer: Balancer, *argv: str) -> float:
    """Seconds that a command takes."""
    mina_ops = Path(sys.executable).with_name("mina-ops")
    began = time.monotonic()
    subprocess.run(
        [str(mina_ops), "--config", str(balancer.toml), *argv],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
