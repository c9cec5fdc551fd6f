"""Blue (v1) that serves, green (v2) that is released, and a judge of green."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from mina_ops.operator.api.client import AppClient
from mina_ops.operator.judge.access import Access
from mina_ops.operator.judge.hooks import Hooks
from mina_ops.operator.judge.poller import Poller, Rules
from mina_ops.operator.judge.server import running
from mina_ops.operator.release.verdicts.figures import Wanted
from mina_ops.operator.release.verdicts.model import NumberTrigger, Triggers
from mina_ops.operator.release.verdicts.numbers import NumberReader
from tests.operator.fixtures import apps
from tests.operator.stand_in import TOKEN, Fleet, StandIns

__all__ = ["apps"]

GATE_TOKEN = "a-token-of-the-judge"
WELL = {"status": "healthy", "latency_ms": 3.0, "age_seconds": 0.0}


@dataclass
class Judge:
    """A judge of green: where it listens, what it told, and both colours."""

    url: str
    apps: StandIns
    told: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def green(self) -> Fleet:
        return self.apps.fleets["green"]

    @property
    def blue(self) -> Fleet:
        return self.apps.fleets["blue"]


def die(apps: StandIns, colour: str) -> None:
    """End a colour's process, with the connections that were kept to it."""
    apps.stop_instance(apps.instances[colour][0])
    apps.cut()


def well(fleet: Fleet, *, errors: int = 0) -> None:
    """A colour with 2,000 requests in the window, so many of them failed."""
    fleet.metrics = {
        "errors": {"requests": 2000, "errors": errors},
        "histogram": {"histogram_ms": [[10.0, 1500], [20.0, 500]]},
        "websockets": {"attempts": 900, "accepted": 900, "failed_by_server": 0},
    }
    fleet.checks = {"database": dict(WELL), "openai": {"status": "healthy"}}


@contextmanager
def judging(
    apps: StandIns,
    *,
    token: str | None = GATE_TOKEN,
    numbers: tuple[NumberTrigger, ...] = (),
    answer_seconds: float | None = None,
) -> Iterator[Judge]:
    """A judge of green that listens on a free port of loopback; one without a token is open."""
    with ExitStack() as stack:
        green, blue = (
            stack.enter_context(
                AppClient(
                    name,
                    f"http://{apps.instances[name][0].address}",
                    token=TOKEN,
                    answer_seconds=answer_seconds,
                )
            )
            for name in ("green", "blue")
        )
        wanted = Wanted(numbers=NumberReader(numbers, {}))
        rules = Rules(Triggers(numbers=numbers), wanted)
        poller = stack.enter_context(closing(Poller(green, blue, rules)))
        access = Access("127.0.0.1", 0, token)
        hooks = Hooks(poller, grace_seconds=5.0, may_drain=access.may_drain)
        judge = Judge("", apps)
        server = stack.enter_context(running(access, hooks, judge.told.append))
        judge.url = f"http://127.0.0.1:{server.server_port}"
        yield judge


@pytest.fixture
def judge(apps: StandIns) -> Iterator[Judge]:
    """Both colours are well, and green is another version."""
    for fleet in apps.fleets.values():
        well(fleet)
    apps.fleets["green"].version = "v2.0.0"
    with judging(apps) as running_judge:
        yield running_judge
