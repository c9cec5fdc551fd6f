"""The status of a handshake that is turned away because the whole colour drains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WISH = "HTTP_X_MINA_DRAIN_STATUS"
_WISHES = {"500": 500, "502": 502, "504": 504}
_USUAL = 503


def refusal_status(environ: Mapping[str, Any]) -> int:
    """503, or the 5xx that the load balancer asks for in `X-Mina-Drain-Status`.

    nginx and HAProxy decide by the status alone whether to pass a request on. Example: a full
    worker of blue answers 503, and the handshake must stay with blue. A colour that was ordered to
    drain answers the 504 that they ask for, and they pass the handshake on to the other colour.
    """
    return _WISHES.get(str(environ.get(_WISH, "")), _USUAL)
