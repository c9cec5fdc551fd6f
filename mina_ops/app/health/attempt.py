"""Runs a check once, whatever it raises."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from mina_ops.app.health.faults import classify, describe
from mina_ops.app.health.model import HEALTHY, CannotTell, Check, Result, Unhealthy, Warned


class Attempt:
    """One run, whose failures are part of the result."""

    def __init__(self, check: Check) -> None:
        self._check = check

    def __call__(self) -> Result:
        began = time.monotonic()
        data: Mapping[str, Any] = {}
        fault: Exception | None = None
        state = HEALTHY
        try:
            assert self._check.run is not None
            found = self._check.run()
            if found is False:
                raise Unhealthy("the check returned False")
            data = found if isinstance(found, Mapping) else {}
        except (Warned, CannotTell) as exc:
            data, state = exc.data, exc.state
        except Unhealthy as exc:
            fault, data = exc, exc.data
        except Exception as exc:
            fault = exc
        ended = time.monotonic()
        return Result(
            ok=fault is None,
            ended=ended,
            latency_seconds=ended - began,
            error=classify(fault) if fault else None,
            data=data,
            detail=describe(fault) if fault else None,
            state=state,
        )
