"""Watch a drain until it ends: yields how far it is, and judges the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

from mina_ops.errors import AppUnreachable, DrainForced, DrainTimedOut, MinaOpsError
from mina_ops.operator.api.answers import DrainStatus
from mina_ops.operator.api.client import AppClient

POLL_SECONDS = 0.5
# A process cuts stalled peers 2 s after its deadline, and the count of a killed one lives 3.5 s.
MARGIN_SECONDS = 10.0
# Stock clients come back within some 1.5 s; those that sleep, or were closed, do not.
ARRIVAL_SECONDS = 5.0
# The last process tells whom it sent away with its next beat.
_TOLD_SECONDS = 1.5
_SILENT_POLLS = 6
# A process that has not heard of the order yet calls its colour serving; two beats, and a margin.
_HEARD_SECONDS = 5.0

# Requests of a colour, by its name, that a load balancer is still at; None: it cannot tell.
AtBalancer = Callable[[str], int | None]


def follow(
    client: AppClient,
    grace_seconds: float,
    *,
    at_balancer: AtBalancer | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[DrainStatus]:
    """Each status of a drain that was ordered, twice a second, the drained ones last.

    A colour that is silent for a moment is asked again. Once it is drained, those that it sent
    away have some more seconds to arrive at the other colour, and are not waited for beyond that.

    Args:
        grace_seconds: grace of the order; watching ends `MARGIN_SECONDS` after it.

    Raises:
        DrainTimedOut: not drained by then, or the order was cancelled meanwhile.
        AppUnreachable: it was silent for several polls in a row.
    """
    started = clock()
    deadline = started + grace_seconds + MARGIN_SECONDS
    silent = 0
    drained_at: float | None = None
    while True:
        try:
            status = _asked(client, at_balancer)
            silent = 0
        except AppUnreachable:
            silent += 1
            if silent >= _SILENT_POLLS:
                raise
        else:
            yield status
            if status.state == "drained":
                drained_at = clock() if drained_at is None else drained_at
                if clock() > deadline or _all_is_told(status, clock() - drained_at):
                    return
            if status.state == "serving" and clock() - started > _HEARD_SECONDS:
                raise DrainTimedOut(f"The drain of {client.name} was cancelled; it serves again.")
            elif clock() > deadline:
                raise DrainTimedOut(_left(client.name, status))
        sleep(POLL_SECONDS)


def _asked(client: AppClient, at_balancer: AtBalancer | None) -> DrainStatus:
    """What the app says; once it says "drained", what the load balancer says too."""
    status = client.drain_status()
    if at_balancer is None or status.state != "drained":
        return status
    count = None
    # The end of a drain depends on no load balancer that does not answer.
    with suppress(MinaOpsError):
        count = at_balancer(client.name)
    return replace(status, state="draining" if count else status.state, requests_at_balancer=count)


def _left(name: str, status: DrainStatus) -> str:
    if status.requests_at_balancer:
        return (
            f"{name} still has {status.requests_at_balancer} requests in flight at the load "
            f"balancer {MARGIN_SECONDS:g} s after its grace; to stop it now breaks them off."
        )
    left = status.active_connections
    return (
        f"{name} still has {'?' if left is None else left} live connections "
        f"{MARGIN_SECONDS:g} s after its grace; order it again with a shorter --grace."
    )


def _all_is_told(status: DrainStatus, seconds: float) -> bool:
    """Whether nobody else is waited for, `seconds` after the last session was gone."""
    if status.sent_away is None or not status.initial:
        return True
    if status.on_their_way:
        return seconds > ARRIVAL_SECONDS
    return seconds > _TOLD_SECONDS


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
