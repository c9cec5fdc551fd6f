"""Watch a drain until it ends: yields how far it is, and judges the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from mina_ops.errors import AppUnreachable, DrainForced, DrainTimedOut
from mina_ops.operator.api.answers import DrainStatus
from mina_ops.operator.api.client import AppClient

POLL_SECONDS = 0.5
# A process cuts stalled peers 2 s after its deadline, and the count of a killed one lives 3.5 s.
MARGIN_SECONDS = 10.0
_SILENT_POLLS = 6
# A process that has not heard of the order yet calls its colour serving; two beats, and a margin.
_HEARD_SECONDS = 5.0


def follow(
    client: AppClient,
    grace_seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[DrainStatus]:
    """Each status of a drain that was ordered, twice a second, the drained one last.

    A colour that is silent for a moment is asked again.

    Args:
        grace_seconds: grace of the order; watching ends `MARGIN_SECONDS` after it.

    Raises:
        DrainTimedOut: not drained by then, or the order was cancelled meanwhile.
        AppUnreachable: it was silent for several polls in a row.
    """
    started = clock()
    deadline = started + grace_seconds + MARGIN_SECONDS
    silent = 0
    while True:
        try:
            status = client.drain_status()
            silent = 0
        except AppUnreachable:
            silent += 1
            if silent >= _SILENT_POLLS:
                raise
        else:
            yield status
            if status.state == "drained":
                return
            if status.state == "serving" and clock() - started > _HEARD_SECONDS:
                raise DrainTimedOut(f"The drain of {client.name} was cancelled; it serves again.")
            if clock() > deadline:
                left = status.active_connections
                raise DrainTimedOut(
                    f"{client.name} still has {'?' if left is None else left} live connections "
                    f"{MARGIN_SECONDS:g} s after its grace; order it again with a shorter --grace."
                )
        sleep(POLL_SECONDS)


def judge(client: AppClient, status: DrainStatus) -> None:
    """Return if everybody left by themselves.

    Raises:
        DrainForced: sessions were cut, or something was not flushed; the message counts them.
    """
    if status.forced or status.unflushed:
        names = f" ({', '.join(status.unflushed[:5])})" if status.unflushed else ""
        raise DrainForced(
            f"{client.name} is drained; {status.forced} sessions were cut and "
            f"{len(status.unflushed)} holds not flushed{names}."
        )
