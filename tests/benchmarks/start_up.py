"""How long `mina-ops --help` takes, beside Python itself, click alone and `flask --help`.

Each is a process of its own, in turn, so that all meet the same machine.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from tests.benchmarks._report import Report, arguments
from tests.support.command import MINA_OPS

LIMIT_OF_FLASK = 0.5
COMMANDS = {
    "python": [sys.executable, "-c", ""],
    "click": [sys.executable, "-c", "import click"],
    "flask": [MINA_OPS.with_name("flask"), "--help"],
    "mina_ops": [MINA_OPS, "--help"],
}


def main() -> int:
    """Measure, report; 0 if every goal was met."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    chosen = parser.parse_args()
    report = Report(chosen.json)
    took: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(chosen.rounds):
        for name, command in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True)
            took[name].append(time.perf_counter() - began)
    for name, seconds in took.items():
        report.figure(f"{name}_ms", 1000 * statistics.median(seconds), 1)
    shares = [ours / theirs for ours, theirs in zip(took["mina_ops"], took["flask"], strict=True)]
    report.goal("of_flask_help", round(statistics.median(shares), 3), LIMIT_OF_FLASK)
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
