"""What a release would do, line by line, for `--dry-run`."""

from __future__ import annotations

from mina_ops.operator.config.colours import Colour
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.release import plan as plans
from mina_ops.operator.release.control import Control
from mina_ops.operator.release.journal import Journal, check_version
from mina_ops.operator.release.model import FORWARD, Phase
from mina_ops.operator.release.world import World
from mina_ops.operator.system import programs
from mina_ops.operator.traffic.base import TrafficDriver


def describe(
    settings: OperatorSettings, driver: TrafficDriver, version: str, new: Colour
) -> list[str]:
    """Every phase with its commands, requests and switches, in order; nothing is run.

    Raises:
        ConfigurationError: no release may have this version as its name.
    """
    check_version(version)
    plan = plans.read(settings)
    world = World(
        settings=settings,
        driver=driver,
        plan=plan,
        journal=Journal(plan.folder / "preview"),
        control=Control(plan.folder / "preview"),
        version=version,
        new=new,
        old=settings.other(new.name),
        tell=lambda event, text: None,
    )
    lines = []
    for phase in FORWARD:
        lines.append(f"{phase}:")
        lines += [f"  {line}" for line in _steps(world, phase)]
    return lines


def _steps(world: World, phase: Phase) -> list[str]:
    lines = []
    if phase in world.plan.approvals:
        lines.append(f"wait up to {world.plan.approvals[phase]:g} s for `mina-ops release promote`")
    lines += _hook(world, f"before_{phase}")
    lines += _own(world, phase)
    return lines + _hook(world, f"after_{phase}")


def _own(world: World, phase: Phase) -> list[str]:
    plan, new, old = world.plan, world.new, world.old
    if phase is Phase.CHECKS:
        asked = (
            "/api/health/ready",
            "/admin/drain",
            "/api/metrics/errors",
            "/api/metrics/histogram",
        )
        looks = [f"GET {old.url}{path}" for path in (*asked, "/api/metrics/websockets")]
        return ["look at the load balancer", *looks, *_hook(world, "checks")]
    if phase is Phase.START:
        warm = [f"GET {new.url}{path}" for path in plan.warm_up]
        up = [*_hook(world, "start"), *_hook(world, "scale")]
        return [*up, f"DELETE {new.url}/admin/drain", *warm]
    if phase is Phase.HEALTH:
        return [f"GET {new.url}/api/health/ready, {plan.health_looks} times in a row"]
    if phase is Phase.SWITCH:
        shares = [line for share in plan.shares() for line in _share(world, share)]
        return [*shares, f"GET {world.settings.public_url}/api/health"]
    if phase is Phase.DRAIN:
        return [f'POST {old.url}/admin/drain {{"grace_seconds": {plan.drain_grace_seconds:g}}}']
    if phase is Phase.WATCH:
        return [f"watch both colours for {plan.watch_seconds:g} s"]
    if phase is Phase.DONE:
        return [f"GET {new.url}/api/health/ready", *_hook(world, "stop")]
    return _hook(world, phase)


def _share(world: World, share: int) -> list[str]:
    moves = world.driver.plan(world.planned(share))
    return [*moves, f"watch both colours for {world.plan.step_seconds:g} s"]


def _hook(world: World, hook: str) -> list[str]:
    return [programs.quoted(argv) for argv in world.plan.commands(hook, world.words())]
