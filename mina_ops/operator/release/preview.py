"""What a release would do, line by line, for `--dry-run`: its own steps, shown and not run."""

from __future__ import annotations

from mina_ops.operator.config.colours import Colour
from mina_ops.operator.release import phases
from mina_ops.operator.release import plan as plans
from mina_ops.operator.release.control import Control
from mina_ops.operator.release.journal import Journal, check_version
from mina_ops.operator.release.model import FORWARD, Phase
from mina_ops.operator.release.plan import Choices
from mina_ops.operator.release.release import Record, Release, Site, Target
from mina_ops.operator.release.report import REPORTS


def describe(site: Site, version: str, new: Colour, choices: Choices | None = None) -> list[str]:
    """Every phase with its commands, requests and switches, in order; nothing is run.

    Raises:
        ConfigurationError: no release may have this version as its name, or the load balancer
            cannot do what the plan asks for.
    """
    check_version(version)
    plan = plans.read(site.settings, choices)
    folder = plan.folder / "preview"
    target = Target(version, new, site.settings.other(new.name))
    record = Record(Journal(folder), Control(folder))
    release = Release(target, site, plan, record)
    lines = ["throughout:", *(f"  {line}" for line in REPORTS)]
    for phase in FORWARD:
        lines.append(f"{phase}:")
        lines += [f"  {line}" for line in _lines(release, phase)]
    return lines


def _lines(release: Release, phase: Phase) -> list[str]:
    steps = [*phases.approval(release, phase), *phases.steps_of(release, phase)]
    return [line for step in steps for line in step.lines]
