"""Lets python-engineio read a long poll's body of many packets.

A polling client puts all that waits into one body, for example what a page emitted while it changed
servers. python-engineio reads 16 packets at most. A server drops a longer body, answers 200 and
logs a traceback: 40 events are lost, and their client believes that they have arrived. A Python
client drops a longer answer together with its connection.
"""

from __future__ import annotations

# As short as packets can be, 1 MB, which is the longest body by default, would hold 300,000.
MOST_PACKETS = 10_000
_STOCK = 16


def read_long_payloads() -> None:
    """Do so in this process; a limit that the host has chosen itself stays. Idempotent."""
    from engineio.payload import Payload

    if Payload.max_decode_packets == _STOCK:
        Payload.max_decode_packets = MOST_PACKETS
