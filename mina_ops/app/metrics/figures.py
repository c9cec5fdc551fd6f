"""Figures of a colour, summed over its processes; answered from memory where possible."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mina_ops.app.context import Context
from mina_ops.app.metrics import fields, windows
from mina_ops.app.metrics.sessions import CURRENT_SECONDS
from mina_ops.app.metrics.views import Subject, View, Views

COMPONENT = "metrics"
"""The name under which each process reports its outcomes and active sessions."""

PLAYBOOK_OUTCOMES = ("transcription", "ai_insights")


class Figures:
    """Answers for the whole colour of this process, or for another one.

    Args:
        outcomes: names that this process has, which may grow.
    """

    def __init__(self, context: Context, outcomes: Iterable[str]) -> None:
        self.identity = context.identity
        self.views = Views(context.store, patience_seconds=context.settings.presence_ttl_seconds)
        self._presence = context.presence
        self._clock = context.clock
        self._outcomes = outcomes

    def window(self, environment: str, window_seconds: int) -> View:
        """A colour's amounts of the last seconds."""
        return self.views.ask(Subject(environment, window_seconds), self._clock.now())

    def total(self) -> View:
        """All that this colour counted under this release."""
        subject = Subject(self.identity.environment, version=self.identity.version)
        return self.views.ask(subject, self._clock.now())

    def about(self, environment: str, window_seconds: int, view: View) -> dict[str, Any]:
        """The fields of every answer: colour, window, live reporters, when read, staleness."""
        colour = self._presence.summary(environment)
        read_at = self._clock.now() if view.read_at is None else view.read_at
        return {
            "environment": environment,
            "window_seconds": window_seconds,
            "reporters": colour.processes,
            "generated_at": _iso(read_at),
            "stale": view.stale or colour.stale,
        }

    def outcome_names(self, environment: str) -> set[str]:
        """Outcomes that a live process of a colour has, or that the colour counted lately."""
        own = environment == self.identity.environment
        names = set(self._outcomes if own else PLAYBOOK_OUTCOMES)
        names.update(self._said(environment).get("outcomes", ()))
        lately = self.window(environment, windows.DEFAULT_SECONDS).amounts
        return names | {name.rpartition(":")[0] for name, _ in fields.below(lately, fields.OUTCOME)}

    def active_sessions(self, environment: str) -> dict[str, Any]:
        """The body of active sessions: the freshest count of a colour's processes."""
        colour = self._presence.summary(environment)
        said = self._said(environment)
        age = (colour.age_seconds or 0.0) + said.get("active_sessions_age", 0.0)
        return {
            "active_sessions": said.get("active_sessions"),
            "samples": said.get("counters", 0),
            "environment": environment,
            "window_seconds": int(CURRENT_SECONDS),
            "reporters": colour.processes,
            "generated_at": _iso(self._clock.now() - age),
            "stale": colour.stale,
        }

    def _said(self, environment: str) -> Mapping[str, Any]:
        """What `merge` made of the reports of a colour."""
        said: Mapping[str, Any] = self._presence.summary(environment).parts.get(COMPONENT, {})
        return said


def merge(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The reports of several processes as one: all outcomes, and the freshest count of sessions.

    `counters` is the number of processes that count active sessions.
    """
    merged: dict[str, Any] = {"outcomes": sorted({n for r in reports for n in r["outcomes"]})}
    counting = [report for report in reports if "active_sessions" in report]
    if counting:
        freshest = min(counting, key=lambda report: float(report["active_sessions_age"]))
        merged["active_sessions"] = freshest["active_sessions"]
        merged["active_sessions_age"] = freshest["active_sessions_age"]
        merged["counters"] = len(counting)
    return merged


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
