"""The command over a real nginx and stand-in colours, run in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mina_ops.cli import main
from tests.operator.balancers import Balancer
from tests.operator.fixtures import apps, nginx
from tests.operator.stand_in import TOKEN

__all__ = ["Ran", "Run", "apps", "nginx", "run"]


@dataclass
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output, which must be one JSON value."""
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def run(nginx: Balancer) -> Run:
    """Runs `mina-ops` with the settings of `nginx` and an admin's token."""

    def runs(*arguments: str, token: str | None = TOKEN, config: Path | None = None) -> Ran:
        environment = {"MINA_OPS_TOKEN": token, "MINA_OPS_CONFIG": str(config or nginx.toml)}
        result: Result = CliRunner().invoke(main, arguments, env=environment)
        bug = result.exception
        if bug is not None and not isinstance(bug, SystemExit):
            raise bug
        return Ran(result.exit_code, result.stdout, result.stderr)

    return runs
