"""How many different clients failed, counted over all processes in a bounded number of fields.

Each address has one of 256 places, and a handshake that fails adds one to its place. The number
of places that were hit tells how many clients there are, as in linear counting (K.-Y. Whang and
others, ACM Transactions on Database Systems 15, 1990): one client that tries 400 times hits one
place, and 100 clients hit about 83. No address is kept.
"""

from __future__ import annotations

import math
from hashlib import blake2b

from mina_ops.app.metrics import fields

PLACES = 256


def place(client: str) -> str:
    """The field of a client."""
    return f"{fields.CLIENT}{blake2b(client.encode(), digest_size=1).digest()[0]}"


def count(amounts: fields.Amounts) -> int:
    """About how many clients hit their places: exact below 20, then within about a tenth.

    When all places are hit, it is the largest number that can be told, 1,420.
    """
    hit = sum(1 for _ in fields.below(amounts, fields.CLIENT))
    return round(PLACES * math.log(PLACES / max(PLACES - hit, 1)))
