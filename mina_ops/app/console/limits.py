"""The playbook's limits, which the page shows beside figures while no release brings its own."""

from __future__ import annotations

ERROR_PERCENT = 5.0
HANDSHAKE_PERCENT = 95.0
P95_INCREASE_PERCENT = 50.0
P95_INCREASE_MS = 5.0

LEAST_SAMPLES = 20
"""A figure of fewer samples is shown as missing: one 500 among ten requests is not 10 %."""
