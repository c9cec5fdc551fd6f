"""The phases of a release. Pure."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """Where a release is; in this order, apart from the last four."""

    CHECKS = "checks"
    """Everything that must hold before anything is touched."""
    BACKUP = "backup"
    MIGRATE = "migrate"
    START = "start"
    """Start the new colour and warm it up."""
    HEALTH = "health"
    """The new colour is ready, and stays so."""
    SMOKE = "smoke"
    SHADOW = "shadow"
    """The new colour gets copies of visitors' requests, whose answers reach nobody."""
    SWITCH = "switch"
    """Traffic moves, step by step, and is watched at each."""
    DRAIN = "drain"
    """Live sessions leave the old colour."""
    WATCH = "watch"
    """All traffic is on the new colour, and is watched."""
    DONE = "done"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    """Ended before any traffic moved; nothing to take back."""


FORWARD = (
    Phase.CHECKS,
    Phase.BACKUP,
    Phase.MIGRATE,
    Phase.START,
    Phase.HEALTH,
    Phase.SMOKE,
    Phase.SHADOW,
    Phase.SWITCH,
    Phase.DRAIN,
    Phase.WATCH,
    Phase.DONE,
)
ENDED = (Phase.DONE, Phase.ROLLED_BACK, Phase.FAILED)
WITH_TRAFFIC = (Phase.SWITCH, Phase.DRAIN, Phase.WATCH)
