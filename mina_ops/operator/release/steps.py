"""A phase as a list of steps that are data: run, shown by `--dry-run`, and kept in the journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from mina_ops.operator.config.colours import Colour
from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.release import Release
from mina_ops.operator.release.verdicts.figures import ENDPOINTS
from mina_ops.operator.system import programs
from mina_ops.operator.traffic import gate


@dataclass(frozen=True)
class Step:
    """One thing that a phase does.

    `lines` say it for a person: each is a request, a command as typed, or a change of traffic.
    `act` does it, and can be repeated.
    """

    lines: Sequence[str]
    act: Callable[[], object]


def hook(release: Release, name: str, phase: Phase) -> list[Step]:
    """A step for each command of a hook."""
    return [
        Step([programs.quoted(argv)], partial(release.run_command, name, phase, argv))
        for argv in release.commands(name)
    ]


def asking(colour: Colour, *paths: str, method: str = "GET") -> list[str]:
    """The lines of requests to one colour."""
    return [f"{method} {colour.url}{path}" for path in paths]


def readiness(colour: Colour) -> list[str]:
    """The requests by which a colour and each of its instances say that they are ready."""
    return [f"GET {url}/api/health/ready" for _, url in gate.addresses(colour)]


def figures(release: Release, colour: Colour) -> list[str]:
    """The requests and commands that one look at a colour takes."""
    triggers = release.plan.triggers
    paths = ["/api/health", *(f"/api/metrics/{name}" for name in ENDPOINTS)]
    paths += [f"/api/metrics/outcomes/{trigger.outcome}" for trigger in triggers.outcomes]
    numbers = [one for one in triggers.numbers if one.figure is not None]
    paths += [f"/api/metrics/{str(one.figure).partition(':')[0]}" for one in numbers]
    commands = [one.command for one in triggers.numbers if one.command is not None]
    return [*asking(colour, *paths), *commands]


def watching(release: Release, seconds: float, why: str) -> list[str]:
    """The lines of a stretch of watching."""
    looks = [*figures(release, release.new), *figures(release, release.old)]
    every = f"{why} {seconds:g} s, every {release.plan.look_seconds:g} s:"
    return [
        every,
        "  ask the load balancer for its split",
        *(f"  {line}" for line in looks),
    ]


def load(release: Release) -> list[str]:
    """The lines of the load that a release sends itself."""
    own = release.plan.load
    if not own.per_second:
        return []
    asked = [f"GET {c.url}{path}" for c in (release.new, release.old) for path in own.paths]
    rate = f"{own.per_second:g} requests a second to each colour, and"
    shaken = f"{own.handshakes_per_second:g} Socket.IO handshakes where the site has any:"
    return [f"meanwhile send {rate} {shaken}", *(f"  {line}" for line in asked)]
