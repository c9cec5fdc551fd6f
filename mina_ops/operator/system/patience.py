"""How long the operator's half waits for an answer of the app or of the load balancer."""

from __future__ import annotations

import os

from mina_ops.errors import ConfigurationError

VARIABLE = "MINA_OPS_PATIENCE"
_LEAST, _MOST = 0.1, 100.0


def patient(seconds: float) -> float:
    """`seconds` as they are meant for a quick line, times MINA_OPS_PATIENCE (default 1).

    Asked for at each call, so that a test or a program may change the variable as it runs.

    Raises:
        ConfigurationError: the variable holds no number from 0.1 to 100.
    """
    text = os.environ.get(VARIABLE, "1")
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not _LEAST <= factor <= _MOST:
        raise ConfigurationError(
            f"{VARIABLE} is {text!r}; it must be a number from {_LEAST:g} to {_MOST:g}."
        )
    return seconds * factor
