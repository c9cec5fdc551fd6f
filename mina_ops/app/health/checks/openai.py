"""The check `openai`: whether the AI service serves us; it never makes a call that is billed."""

from __future__ import annotations

import time
from collections import deque
from functools import cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from mina_ops.app.health.model import CannotTell, Check, Unhealthy
from mina_ops.app.settings import Settings

if TYPE_CHECKING:
    import httpx

DEADLINE_SECONDS = 3.0
TTL_FACTOR = 3.0
"""The check runs every third interval, since it asks a service of somebody else."""
DEFAULT_BASE_URL = "https://api.openai.com/v1"

_CLASSES = {401: "auth", 408: "timeout", 504: "timeout"}
_CANNOT_TELL = frozenset({403, 404, 405, 429})
"""What a key that may complete chats but not list models gets, or a gateway without such a list."""


class RecentCalls:
    """How the app's own calls of the service went in this process, lately."""

    ENOUGH = 3
    WINDOW_SECONDS = 60.0

    def __init__(self) -> None:
        self._calls: deque[tuple[float, bool]] = deque(maxlen=100)

    def note(self, succeeded: bool) -> None:
        """Remember a call that just ended."""
        self._calls.append((time.monotonic(), succeeded))

    def verdict(self) -> bool | None:
        """Whether any of the last minute's calls succeeded; None when they are too few to tell."""
        since = time.monotonic() - self.WINDOW_SECONDS
        results = [succeeded for at, succeeded in list(self._calls) if at >= since]
        return any(results) if len(results) >= self.ENOUGH else None


def openai_check(settings: Settings, calls: RecentCalls) -> Check:
    """The outcome of the app's recent calls, else a list of models; disabled without a key.

    Listing models is free of charge. The service counts as down when every recent call failed.
    """
    common: dict[str, Any] = {"name": "openai", "words": ("available", "unavailable")}
    if not settings.openai_api_key:
        return Check(run=None, **common)

    url = (settings.openai_base_url or DEFAULT_BASE_URL).rstrip("/") + "/models"
    # One client for all runs: making one loads all certificates, 20 ms of CPU.
    client = cache(partial(_client, settings.openai_api_key))

    def ask() -> dict[str, str]:
        verdict = calls.verdict()
        if verdict is None:
            _judge(client().get(url).status_code)
            return {"source": "models"}
        if not verdict:
            raise Unhealthy("every recent call of the app failed", data={"source": "calls"})
        return {"source": "calls"}

    return Check(
        run=ask,
        deadline_seconds=DEADLINE_SECONDS,
        ttl_seconds=TTL_FACTOR * settings.health_interval_seconds,
        facts={"model": settings.openai_model},
        asked_by_few=True,
        **common,
    )


def _client(key: str) -> httpx.Client:
    """A client that keeps no connection: one that went stale would look like a dead service.

    Made by the check's run, since the environment may hold what httpx refuses: a proxy or a
    NO_PROXY that it cannot parse, a CA file that is missing. That is a failed check, not a host
    that does not start.

    Raises:
        Exception: whatever httpx makes of the environment or the key.
    """
    import httpx

    return httpx.Client(
        timeout=DEADLINE_SECONDS,
        headers={"Authorization": f"Bearer {key}"},
        limits=httpx.Limits(max_keepalive_connections=0),
    )


def _judge(status: int) -> None:
    if status in _CANNOT_TELL:
        raise CannotTell(
            f"the list of models is refused ({status}), so only the app's own calls tell",
            data={"source": "models"},
        )
    if status != HTTPStatus.OK:
        raise Unhealthy(
            f"listing models answered {status}",
            error=_CLASSES.get(status, "error"),
            data={"source": "models"},
        )
