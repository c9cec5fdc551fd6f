"""Counts the host's requests that have begun, until their responses are closed."""

from __future__ import annotations

from typing import Any


class InFlight:
    """The requests that this process serves now; the middleware adds and removes each."""

    def __init__(self) -> None:
        # A set, whose changes are atomic: a counter would need a lock on the request's path.
        self.requests: set[Any] = set()

    def __len__(self) -> int:
        return len(self.requests)

    def begun_before(self, moment: float) -> int:
        """How many of them began before that moment of `time.perf_counter`.

        Example: an upload of a minute counts long after the order to drain, whereas the short
        requests that still arrive do not keep a colour from ever being drained.
        """
        return sum(0 < request.began < moment for request in self.requests.copy())
