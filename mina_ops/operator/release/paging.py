"""Pages people once for each change of state, again after 15 minutes, and once when it is over."""

from __future__ import annotations

from collections.abc import Mapping

from mina_ops.operator.release.model import Phase
from mina_ops.operator.release.release import Release

AGAIN_SECONDS = 900.0
"""A state that lasts is told again after this time: the first page may have been missed."""


class Pages:
    """What somebody was paged for in one stretch of watching.

    A page is known by its event and trigger, never by its text: that holds counts, which change
    with every look.
    """

    def __init__(self, release: Release, phase: Phase) -> None:
        self._release = release
        self._phase = phase
        self._told: dict[tuple[str, str], float] = {}

    def hold(self, reasons: Mapping[str, str]) -> None:
        """The triggers that hold the release now, with their reasons; {}: none does."""
        for trigger, reason in reasons.items():
            self.once("hold", reason, trigger)
        over = [key for key in self._told if key[0] == "hold" and key[1] not in reasons]
        for key in over:
            del self._told[key]
            self._say("over", f"{key[1]} no longer holds the release", "release")

    def once(self, event: str, text: str, trigger: str = "") -> None:
        """Page, unless that was done for the same state a short while ago."""
        now = self._release.clock()
        told_at = self._told.get((event, trigger))
        if told_at is None or now - told_at >= AGAIN_SECONDS:
            self._told[event, trigger] = now
            self._say(event, text, "alert")

    def forget(self) -> None:
        """Page anew whatever still holds."""
        self._told.clear()

    def _say(self, notice: str, text: str, event: str) -> None:
        release = self._release
        release.note(self._phase, notice=notice, reason=text)
        release.observer.phase(self._phase, f"{notice}: {text}")
        release.tell(event, f"{notice}: {release.version} on {release.new.name}: {text}")
