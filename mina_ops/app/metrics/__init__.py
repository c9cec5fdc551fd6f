"""What an app serves, counted: rates, quantiles and outcomes of a whole colour."""

from __future__ import annotations

from mina_ops.app.metrics.component import Metrics

__all__ = ["Metrics"]
