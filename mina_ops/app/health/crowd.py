"""What a process knows of the fleet before it asks what the whole fleet shares."""

from __future__ import annotations

import math
import time

from mina_ops.app.context import Context
from mina_ops.app.health.fleet import Vouchers, vouchers
from mina_ops.app.health.model import Check
from mina_ops.app.health.monitor import ENOUGH
from mina_ops.app.health.permits import Site, Wait
from mina_ops.app.health.vantage import vantage_of
from mina_ops.app.state.summary import Summary

_REMEMBERED_SECONDS = 10.0


class Crowd:
    """How many live processes both colours have, who is well, and who has to wait for a permit."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._begin()

    def _begin(self) -> None:
        self._site: Site | None = None
        self._size: int | None = None
        self._sized_at = -math.inf

    def at_start(self) -> None:
        """Begin in this process: a fork knows nobody, and may run as another user."""
        self._begin()
        context = self._context
        if context.store.shared:
            key = str(context.app.config.get("SECRET_KEY") or "")
            vantage = vantage_of(context.settings, context.database, key)
            self._site = Site(
                context.store, context.identity, vantage, context.settings.beat_seconds
            )
        self.beat()

    def beat(self) -> None:
        """Look at the summaries, in memory."""
        now, found = time.monotonic(), self._count()
        if found is None:
            return
        # A store that came back empty knows of nobody for a beat or two; all who believed then to
        # be alone would ask at once.
        if found >= (self._size or 0) or now - self._sized_at > _REMEMBERED_SECONDS:
            self._size, self._sized_at = found, now

    def is_small(self) -> bool:
        """Whether each process may ask by itself, and keep its connection."""
        return self._size is not None and self._size <= ENOUGH

    def vouchers(self, check: Check) -> Vouchers:
        """Who is well by a check and who is not; see `fleet.vouchers`."""
        return vouchers(check.name, self._summaries(own_only=check.of_release))

    def permit(self, check: Check, takes_answers: bool) -> Wait | None:
        """A wait for a permit; None: there is no need.

        Args:
            takes_answers: whether the answer of another process will do. It does only until the
                size of the fleet is known: from then on `vouchers` spreads who asks.
        """
        self.beat()
        if self._site is None or self.is_small():
            return None
        return Wait(self._site, check, takes_answers=takes_answers and self._size is None)

    def _count(self) -> int | None:
        """Live processes of both colours; None: not known yet, or no more."""
        if self._context.presence.summary().stale:
            return None
        return sum(colour.processes for colour in self._summaries())

    def _summaries(self, *, own_only: bool = False) -> list[Summary]:
        identity, presence = self._context.identity, self._context.presence
        colours = (identity.environment,) if own_only else identity.colours
        return [presence.summary(colour) for colour in colours]
