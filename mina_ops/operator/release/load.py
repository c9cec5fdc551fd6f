"""A load that a release makes itself, for a site that is too quiet to be judged.

While a share is watched it sends the same requests to both colours at the same rate, past the load
balancer, so that their figures can be compared. They count like everybody's: they show whether
these paths are well, and tell nothing of the others.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count

import httpx

from mina_ops.operator.api.client import reach
from mina_ops.operator.config.colours import Colour
from mina_ops.operator.release.plan import Load
from mina_ops.operator.system.patience import patient

_ANSWER_SECONDS = 10.0
# A lane sends one request after the other, so a slow colour gets fewer, never many at once.
_LANE_PER_SECOND = 2.0
_MOST_LANES = 16
_END_SECONDS = 2.0
_HANDSHAKE = {"EIO": "4", "transport": "polling"}

Visit = Callable[[httpx.Client], None]


@contextmanager
def sending(load: Load, colours: Sequence[Colour], *, handshakes: bool) -> Iterator[None]:
    """Send the load to each colour while the body runs; does nothing where it is switched off.

    Args:
        handshakes: whether the site has Socket.IO clients at all.
    """
    stop = threading.Event()
    threads = [
        threading.Thread(target=_lane, args=(colour, visit, every, stop), daemon=True)
        for colour in colours
        for visit, every in _lanes(load, handshakes=handshakes)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(_END_SECONDS)


def _lanes(load: Load, *, handshakes: bool) -> Iterator[tuple[Visit, float]]:
    """What each lane of a colour does, and how often."""
    rates = [(_visiting(load.paths), load.per_second)]
    if handshakes and load.per_second:
        rates.append((_shake_hands, load.handshakes_per_second))
    for visit, rate in rates:
        lanes = min(_MOST_LANES, math.ceil(rate / _LANE_PER_SECOND))
        yield from ((visit, lanes / rate) for _ in range(lanes))


def _lane(colour: Colour, visit: Visit, every: float, stop: threading.Event) -> None:
    with httpx.Client(
        **reach(colour.url),
        headers={"User-Agent": "mina-ops-load"},
        timeout=patient(_ANSWER_SECONDS),
        trust_env=False,
    ) as http:
        while not stop.wait(every):
            # What fails is counted by the app, or seen by the next look.
            with suppress(httpx.HTTPError, ValueError, KeyError):
                visit(http)


def _visiting(paths: Sequence[str]) -> Visit:
    """Asks for one path after the other."""
    number = count()

    def visit(http: httpx.Client) -> None:
        http.get(paths[next(number) % len(paths)])

    return visit


def _shake_hands(http: httpx.Client) -> None:
    """A Socket.IO session that joins the namespace / and leaves, as Engine.IO's protocol says."""
    opened = http.get("/socket.io/", params=_HANDSHAKE)
    query = {**_HANDSHAKE, "sid": json.loads(opened.text[1:])["sid"]}
    for packet in ("40", "1"):
        http.post("/socket.io/", params=query, content=packet)
