"""Faults on demand, so that a bad release can be shown: errors and latency on API routes."""

from __future__ import annotations

import itertools
import time

from flask import Blueprint, Flask, jsonify
from flask.typing import ResponseReturnValue


def inject_faults(app: Flask, routes: Blueprint) -> None:
    """Make `DEMO_ERROR_PERCENT` of the requests to `routes` fail, all `DEMO_SLOW_MS` later.

    The share is exact and evenly spread, not random: of 100 requests, 6 fail at 6 percent.
    """
    percent: float = app.config["DEMO_ERROR_PERCENT"]
    delay_seconds: float = app.config["DEMO_SLOW_MS"] / 1000
    numbers = itertools.count(1)

    def _inject() -> ResponseReturnValue | None:
        if delay_seconds:
            time.sleep(delay_seconds)
        n = next(numbers)
        if n * percent // 100 > (n - 1) * percent // 100:
            return jsonify(error="injected_fault"), 500
        return None

    if percent or delay_seconds:
        app.before_request_funcs.setdefault(routes.name, []).append(_inject)
