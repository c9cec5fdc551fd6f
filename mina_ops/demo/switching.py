"""Switching traffic as an operator does: by running `mina-ops switch`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mina_ops.errors import OperatorError

SWITCH_SECONDS = 30.0


class Switcher:
    """Runs `mina-ops switch` for one mina-ops.toml; a context manager.

    Attributes:
        milliseconds: what each switch took by the command's own clock, until it was served.
    """

    def __init__(self, settings: Path) -> None:
        self.milliseconds: list[float] = []
        self._settings = settings
        self._background = ThreadPoolExecutor(1)

    def switch(
        self, source: str, target: str, *how: str, wait: Callable[[Callable[[], bool]], None]
    ) -> dict[str, Any]:
        """The command's result: `before`, `after`, `milliseconds` and more.

        Args:
            how: `--instant`, or `--canary` and a percent.
            wait: is given the condition to wait for.

        Raises:
            OperatorError: the command failed, or did not return in 30 s.
        """
        job = self._background.submit(self._run, ["switch", source, target, *how, "--json"])
        wait(job.done)
        result = _result(job)
        self.milliseconds.append(float(result["milliseconds"]))
        return result

    def _run(self, command: list[str]) -> dict[str, Any]:
        argv = [sys.executable, "-c", "from mina_ops.cli import main; main()", *command]
        environment = {**os.environ, "MINA_OPS_CONFIG": str(self._settings)}
        done = subprocess.run(argv, env=environment, capture_output=True, timeout=SWITCH_SECONDS)
        if done.returncode != 0:
            raise OperatorError(
                f"mina-ops {' '.join(command)} ended with {done.returncode}: "
                f"{done.stderr.decode(errors='replace').strip()}"
            )
        return dict(json.loads(done.stdout))

    def __enter__(self) -> Switcher:
        return self

    def __exit__(self, *_error: object) -> None:
        self._background.shutdown()


def _result(job: Future[dict[str, Any]]) -> dict[str, Any]:
    try:
        return job.result()
    except subprocess.TimeoutExpired as exc:
        raise OperatorError(f"mina-ops switch did not return in {exc.timeout:g} s.") from exc
