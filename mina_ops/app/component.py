"""The port of a feature: what each gives to the extension, which wires all of them alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from flask import Blueprint

from mina_ops.app.process import Kind
from mina_ops.app.web.answers import Probe
from mina_ops.app.web.openapi.operations import Contract


class Component:
    """A feature of one app. Every method does nothing; a feature overrides those it needs."""

    name = "component"
    """Names it in logs and in this process's presence report."""

    kinds: Set[Kind] = frozenset({Kind.WEB})
    """The kinds of processes in which it starts and beats."""

    def probes(self) -> Mapping[str, Probe]:
        """Paths answered below Flask, out of reach of the host's hooks; `/x/` takes all below."""
        return {}

    def left_to_host(self) -> Set[str]:
        """Those of its probes' paths that a host's own route at the same path may keep."""
        return frozenset()

    def blueprints(self) -> list[Blueprint]:
        """Blueprints for what needs Flask (sessions, logins)."""
        return []

    def openapi(self) -> Contract:
        """Its part of the OpenAPI document."""
        return Contract()

    def at_start(self) -> None:
        """Called once in each process, before its first beat."""

    def beat(self, now: float) -> None:
        """Called on each beat of the heartbeat; may raise `StateUnavailable`."""

    def report(self) -> Any:
        """What this process says of the component to its peers, a JSON value; None: nothing."""
        return None

    def merge(self, reports: Sequence[Any]) -> Any:
        """What several processes reported, as one JSON value for the summary of the colour.

        Pure. None: the summary holds nothing of it, and who wants it reads the whole reports.
        """
        return None

    def close(self) -> None:
        """End every thread, connection and subscription that it started; idempotent."""
