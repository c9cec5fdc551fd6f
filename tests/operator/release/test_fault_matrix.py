"""Each fault at each phase, on real processes; docs/fault-matrix.md is what came out.

A fault is injected by a hook that the release itself runs just before the phase. Every outcome is
compared with its cell of the page; with WRITE_DOCS=1 a run writes the cells that it tried instead,
with --long all of them.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mina_ops.operator.release.model import FORWARD, Phase
from tests.operator.release.stand import QUICK, Outcome, Stand, ended
from tests.support.clock import Clock
from tests.support.command import MINA_OPS
from tests.support.wait import eventually

PAGE = Path(__file__).parents[3] / "docs" / "fault-matrix.md"
PLAN = (
    QUICK.replace("steps = [50, 100]", "steps = [100]")
    .replace("step_seconds = 0.3", "step_seconds = 0.1")
    .replace("watch_seconds = 0.3", "watch_seconds = 0.1")
    .replace("look_seconds = 0.1", "look_seconds = 0.05")
    .replace("health_seconds = 20", "health_seconds = 1")
    .replace("ready_seconds = 20", "ready_seconds = 0.5")
)
# Exit code and green's share -> what a person would say. Nothing else may come of a fault.
ENDS = {(0, 100): "done", (5, 0): "taken back", (1, 0): "not begun"}
# An abort that did what was asked ends with 0; its journal says which of the two it was.
ABORTED = {"rolled_back": "taken back", "failed": "not begun"}
WAITED = "waits, then "
STAYED = "stays, then "
MEANINGS = {
    "done": "The release is done; green has all traffic and is healthy.",
    "taken back": "Traffic had moved or was about to; blue has all of it again.",
    "not begun": "It failed before any traffic moved; blue has all of it.",
    WAITED.rstrip(", "): "It pages somebody and moves nothing until Redis answers again.",
    STAYED.rstrip(", "): "The load balancer cannot be asked, so traffic stays on the shares that "
    "were proven last (exit code 7); `release resume` follows once it is back.",
}


def _restart_green(stand: Stand) -> None:
    green = stand.colours["green"]
    green.kill()
    stand.colours["green"] = stand.start_colour("green", green.port)


def _restart_nginx(stand: Stand) -> None:
    stand.nginx.kill()
    stand.nginx = stand.start_nginx()


def _restart_haproxy(stand: Stand) -> None:
    stand.haproxy.kill()
    stand.start_haproxy()


def _restart_redis(stand: Stand) -> None:
    stand.redis.kill()
    stand.start_redis()


@dataclass(frozen=True)
class Fault:
    """A fault: the shell line that injects it, how the stand is healed, what is done then.

    Attributes:
        breaks: a file of the stand that the fault damages, and that is put back.
        then: the command that follows where the release did not end.
        until_paged: the stand is healed once somebody was paged.
        silent: the load balancer hangs, so nobody waits long for it.
    """

    inject: str
    heal: Callable[[Stand], None] = lambda stand: None
    balancer: str = "nginx"
    breaks: str | None = None
    then: str | None = None
    until_paged: bool = False
    silent: bool = False


FAULTS = {
    "controller killed, then `resume`": Fault("kill -9 $PPID", then="resume"),
    "controller killed, then `abort`": Fault("kill -9 $PPID", then="abort"),
    "a second controller is started": Fault("{mina_ops} release start v2; test $? -eq 4"),
    "the clock steps back two hours": Fault("echo -7200 >{clock}"),
    "disk full for the journal": Fault("prlimit --pid $PPID --fsize=0"),
    "green dies": Fault("kill -9 -{green}", heal=_restart_green),
    "Redis dies": Fault("kill -9 -{redis}", heal=_restart_redis, until_paged=True),
    "Redis hangs": Fault(
        "kill -STOP -{redis}", heal=lambda stand: stand.redis.resume(), until_paged=True
    ),
    "nginx dies": Fault("kill -9 -{nginx}", heal=_restart_nginx, then="resume"),
    "nginx hangs": Fault(
        "kill -STOP -{nginx}",
        heal=lambda stand: stand.nginx.resume(),
        then="resume",
        silent=True,
    ),
    "nginx would refuse its configuration": Fault("echo zap >>{breaks}", breaks="nginx/nginx.conf"),
    "HAProxy dies": Fault(
        "kill -9 -{haproxy}", heal=_restart_haproxy, balancer="haproxy", then="resume"
    ),
    "HAProxy hangs": Fault(
        "kill -STOP -{haproxy}",
        heal=lambda stand: stand.haproxy.resume(),
        balancer="haproxy",
        then="resume",
        silent=True,
    ),
    "HAProxy would refuse its configuration": Fault(
        "echo zap >>{breaks}", balancer="haproxy", breaks="haproxy/haproxy.cfg"
    ),
}
_outcomes: dict[tuple[str, Phase], str] = {}


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    """The controller's wall clock."""
    return Clock(tmp_path / "clock")


def _case(title: str, phase: Phase) -> object:
    """With each fault the phase in which traffic moves always runs, the others with --long."""
    marks = () if phase is Phase.SWITCH else (pytest.mark.long,)
    return pytest.param(title, phase, marks=marks)


@pytest.mark.parametrize(
    ("title", "phase"), [_case(title, phase) for title in FAULTS for phase in FORWARD]
)
def test_no_fault_leaves_traffic_on_an_unproven_colour(
    stand: Stand, clock: Clock, monkeypatch: pytest.MonkeyPatch, title: str, phase: Phase
) -> None:
    fault = FAULTS[title]
    if fault.silent:
        monkeypatch.setenv("MINA_OPS_PATIENCE", "1")
    with _unbroken(stand, fault):
        outcome = _run_with(stand, clock, fault, phase)
    fault.heal(stand)
    waited = WAITED if fault.until_paged and _paged(stand) else ""
    waited = STAYED if outcome.code == 7 else waited
    if fault.then is not None and outcome.code not in (0, 1, 5):
        outcome = stand.run("release", fault.then)
    end = outcome.code, stand.share_of_green()
    ends = {**ENDS, (0, 0): ABORTED.get(stand.entries()[-1]["phase"], "")}
    assert ends.get(end), outcome.err
    _require_proven_before_traffic(stand.entries())
    _outcomes[title, phase] = waited + ends[end]
    if not os.environ.get("WRITE_DOCS"):
        assert _outcomes[title, phase] == _written()[title, phase], outcome.err


def _run_with(stand: Stand, clock: Clock, fault: Fault, phase: Phase) -> Outcome:
    haproxy = stand.haproxy.pid if fault.balancer == "haproxy" else 0
    line = fault.inject.format(
        green=stand.colours["green"].pid,
        nginx=stand.nginx.pid,
        haproxy=haproxy,
        redis=stand.redis.pid,
        clock=clock.file,
        breaks=stand.folder / (fault.breaks or ""),
        mina_ops=shlex.join([str(MINA_OPS), "--config", str(stand.file)]),
    )
    once = stand.folder / "once"
    once.unlink(missing_ok=True)
    hook = f"sh -c 'test -e {once} || {{{{ touch {once}; {line}; }}}}'"
    # Figures are stale 3.5 s after Redis went, so that fault is given longer looks.
    looks = "watch_seconds" if phase in (Phase.DRAIN, Phase.WATCH) else "step_seconds"
    plan = PLAN.replace(f"{looks} = 0.1", f"{looks} = 8") if fault.until_paged else PLAN
    stand.plan(plan + f'[release.hooks]\nbefore_{phase} = ["{hook}"]\n', balancer=fault.balancer)
    release = stand.start("release", "start", "v2", clock=clock)
    if fault.until_paged:
        eventually(lambda: release.poll() is not None or _paged(stand), 30)
        fault.heal(stand)
    return ended(release)


@contextmanager
def _unbroken(stand: Stand, fault: Fault) -> Iterator[None]:
    """Put the file that the fault breaks back at the end."""
    file = stand.folder / fault.breaks if fault.breaks else None
    if fault.balancer == "haproxy":
        assert stand.haproxy.alive
    text = file.read_text() if file else ""
    try:
        yield
    finally:
        if file:
            file.write_text(text)


def _paged(stand: Stand) -> bool:
    return any(entry.get("notice") == "blind" for entry in stand.entries())


def _require_proven_before_traffic(entries: list[dict[str, Any]]) -> None:
    """Green may only be given a share after the gate of its health, and its smoke tests."""
    ends = [n for n, e in enumerate(entries) if e["event"] == "end" and e["phase"] == Phase.SMOKE]
    shares = [n for n, entry in enumerate(entries) if entry["event"] == "step"]
    assert not shares or (ends and ends[0] < shares[0])


@pytest.fixture(scope="module", autouse=True)
def _a_run_may_write_the_page() -> Iterator[None]:
    yield
    if os.environ.get("WRITE_DOCS"):
        cells = {**_written(), **_outcomes}
        if len(cells) == len(FAULTS) * len(FORWARD):
            PAGE.write_text(_page(cells))


def test_the_page_has_a_cell_for_each_fault_and_phase_and_nothing_else() -> None:
    assert PAGE.read_text() == _page(_written())


def _written() -> dict[tuple[str, Phase], str]:
    """The page's cells."""
    cells = {}
    for line in PAGE.read_text().splitlines():
        title, *found = (cell.strip() for cell in line.strip("|").split("|"))
        if title in FAULTS:
            cells |= {(title, p): cell for p, cell in zip(FORWARD, found, strict=True)}
    return cells


def _page(outcomes: Mapping[tuple[str, Phase], str]) -> str:
    lines = [
        "# Fault matrix",
        "",
        "What a release comes to when a fault strikes just before a phase. Each cell is what came",
        "of a real run (Redis, both colours, nginx or HAProxy, the `mina-ops` command) by",
        "`tests/operator/release/test_fault_matrix.py`, which writes this page. Blue serves when",
        "a release begins. In no cell is traffic on a colour that was not proven healthy.",
        "",
        *(f"- **{name}**: {meaning}" for name, meaning in MEANINGS.items()),
        "",
        "| fault | " + " | ".join(FORWARD) + " |",
        "| --- |" + " --- |" * len(FORWARD),
    ]
    lines += [
        f"| {title} | " + " | ".join(outcomes[title, phase] for phase in FORWARD) + " |"
        for title in FAULTS
    ]
    lines += ["", *_ELSEWHERE]
    return "\n".join(lines) + "\n"


_ELSEWHERE = (
    "Faults in the middle of a phase are tests of their own in `tests/operator/release`: green",
    "that crashes in a canary step, both colours sick at once, figures that stay away, a load",
    "balancer that dies or hangs in a canary step, a clock that is set while a step is watched or",
    "before a `resume`, a disk that fills up between two shares.",
)
