"""What a feature gives to the extension, which wires all of them alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint

from mina_ops.app.web.answers import Probe


class Part:
    """A feature of one app. Every method is a documented no-op; a feature overrides some."""

    name = "part"
    """Names it in logs and in this process's presence report."""

    def probes(self) -> Mapping[str, Probe]:
        """Paths answered below Flask, out of reach of the host's hooks; `/x/` takes all below."""
        return {}

    def blueprints(self) -> list[Blueprint]:
        """Blueprints for what needs Flask (sessions, logins)."""
        return []

    def beat(self, now: float) -> None:
        """Called on each beat of the heartbeat; may raise `StateUnavailable`."""

    def at_start(self) -> None:
        """Called once in each process, before its first beat."""

    def report(self) -> Any:
        """What this process says of the part to its peers, a JSON value; None: nothing."""
        return None
