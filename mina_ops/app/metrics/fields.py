"""Names of the fields of a tally: what was counted, as text.

d:<bucket>                          requests of a duration; see `histogram`
n:<bucket>                          those of them that were neither GET nor HEAD
s                                   seconds that all requests took
e                                   requests that failed
w:<result>                          Socket.IO handshakes: `accepted`, or why not
c:<place>                           handshakes that clients did wrong; see `clients`
o:<outcome>:ok, o:<outcome>:bad     outcomes that the host recorded
a:<reason>                          requests that were refused: a wrong token, say
r:<method>:<status>:<le>:<route>    requests up to the le-th bound; for Prometheus
t:<method>:<status>:<route>         seconds that these took
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

Amounts = Mapping[str, float]

SECONDS = "s"
ERRORS = "e"
DURATION = "d:"
CHANGING = "n:"
WEBSOCKET = "w:"
CLIENT = "c:"
OUTCOME = "o:"
REFUSED = "a:"
REQUESTS = "r:"
TIME = "t:"
ACCEPTED = "accepted"
TURNED_AWAY = ("draining", "leaving", "unready")
"""Results of handshakes that were only sent elsewhere, and did not fail."""
OTHER = "_OTHER"

_BY_SERVER = ("error", "connect_error", "full")

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def is_name(name: str) -> bool:
    """Whether text can name an outcome or a reason: up to 64 letters, digits, `_`, `.`, `-`."""
    return _NAME.fullmatch(name) is not None


def outcome(name: str, succeeded: bool) -> str:
    """The field that counts an outcome."""
    return f"{OUTCOME}{name}:{'ok' if succeeded else 'bad'}"


def is_by_server(result: str) -> bool:
    """Whether a handshake's result is a failure of the server, not of what the client sent.

    That is an answer of 5xx, an exception, a handler that raised, or a worker without room.
    """
    return result.startswith("http_5") or result in _BY_SERVER


def durations(amounts: Amounts) -> dict[int, float]:
    """Bucket -> number of requests."""
    return {int(bucket): count for bucket, count in below(amounts, DURATION)}


def read_durations(amounts: Amounts) -> dict[int, float]:
    """Bucket -> number of GETs and HEADs."""
    changing = {int(bucket): count for bucket, count in below(amounts, CHANGING)}
    found = {i: count - changing.get(i, 0) for i, count in durations(amounts).items()}
    return {index: count for index, count in found.items() if count > 0}


def below(amounts: Amounts, prefix: str) -> Iterable[tuple[str, float]]:
    """What follows a prefix, with its amount, for each field that has it."""
    start = len(prefix)
    return ((name[start:], amount) for name, amount in amounts.items() if name.startswith(prefix))
