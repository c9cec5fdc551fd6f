"""What Prometheus learns of releases and drains, so that a dashboard can show them.

A controller reports to whatever process answers; a scrape meets whatever process answers. So the
report is published in the store, cut short, which every process reads now and then.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.metrics.component import Metrics
from mina_ops.app.metrics.gauges import Gauge, Values
from mina_ops.app.state import keys
from mina_ops.app.state.base import Store
from mina_ops.app.state.drain_state import DrainState

READ_SECONDS = 5.0
KEEP_SECONDS = 600.0
"""How long after its controller's last report a release is still shown."""

_FIELDS = ("version", "from", "to", "phase", "percent")


def publish(store: Store, report: Mapping[str, Any]) -> None:
    """Let every process know how a release stands. Raises StateUnavailable."""
    last = {name: report[name] for name in _FIELDS}
    store.put(keys.RELEASE, json.dumps(last).encode(), ttl_seconds=KEEP_SECONDS)


class ReleaseGauges(Component):
    """The gauges `mina_release_phase`, `mina_release_share_ratio` and `mina_draining`."""

    name = "releases.gauges"

    def __init__(self, context: Context, metrics: Metrics, drain_state: DrainState) -> None:
        self._store = context.store
        self._colour = context.identity.environment
        self._read_at = -math.inf
        self._last: Mapping[str, Any] = {}
        metrics.gauge(
            "mina_draining",
            "1 while the colour is under a drain order.",
            lambda: float(drain_state.is_ordered(self._colour)),
        )
        metrics.labelled_gauge(
            Gauge(
                "mina_release_phase",
                "1 for the phase that the release from or to this colour is in.",
                self._phase,
                ("release", "phase"),
            )
        )
        metrics.labelled_gauge(
            Gauge(
                "mina_release_share_ratio",
                "Share of new visitors that a release gave this colour last.",
                self._share,
                ("release",),
            )
        )

    def beat(self, now: float) -> None:
        if now - self._read_at < READ_SECONDS:
            return
        # What is old is worse than nothing: it would show a phase that is long over.
        self._last = {}
        raw = self._store.get(keys.RELEASE)
        self._last = {} if raw is None else json.loads(raw)
        self._read_at = now

    def _phase(self) -> Values:
        last = self._last
        if self._colour not in (last.get("from"), last.get("to")):
            return {}
        return {(str(last["version"]), str(last["phase"])): 1.0}

    def _share(self) -> Values:
        last = self._last
        if self._colour not in (last.get("from"), last.get("to")):
            return {}
        share = float(last["percent"]) / 100
        return {(str(last["version"]),): share if self._colour == last["to"] else 1 - share}
