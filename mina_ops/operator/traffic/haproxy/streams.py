"""The requests that an HAProxy is at, read from its `show sess`. Pure.

A line of it is one request, or one tunnel:

    0x55d0: ... fe=mina be=mina.blue.pool srv=0 ... age=7s ... scb=[8,1h,fd=21] ...

`show stat` counts the same requests (`scur`), but not how old they are, and short ones come at
every moment where a colour still has pages open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# As long as the app lets a request last before a drain waits for it.
LONG_SECONDS = 1
# From 9 on the app's side is closed: what is left goes from HAProxy to a slow client.
_OPEN = range(9)
_STREAM = re.compile(r"^0x\S+ .*? be=(\S+) srv=(\S+) .*? age=(\S+) .*? scb=\[(\d+),", re.MULTILINE)
_AGE = re.compile(r"(\d+)([dhms])")
_UNIT_SECONDS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}


def long_requests(shown: str, colours: tuple[str, str], colour: str) -> int:
    """How many requests of `LONG_SECONDS` or more a colour's servers are at, tunnels included.

    Args:
        shown: the answer to `show sess`.
        colours: both colours; a backend of one may have servers of the other, named after it.
    """
    long = [(b, s) for b, s, seconds in _streams(shown) if seconds >= LONG_SECONDS]
    return sum(_colour_of(backend, server, colours) == colour for backend, server in long)


def _streams(shown: str) -> Iterator[tuple[str, str, int]]:
    """Backend, server and age in seconds of each request that the app is at."""
    for backend, server, age, state in _STREAM.findall(shown):
        if int(state) not in _OPEN:
            continue
        # Younger than a second: "<1s".
        parts = [] if age.startswith("<") else _AGE.findall(age)
        yield backend, server, sum(int(number) * _UNIT_SECONDS[unit] for number, unit in parts)


def _colour_of(backend: str, server: str, colours: tuple[str, str]) -> str | None:
    """Whose server it is; None: nobody's, as what the configuration hands on to itself."""
    product, _, rest = backend.partition(".")
    owner = rest.partition(".")[0]
    if product != "mina" or server == "onward":
        return None
    named = server.partition(".")[0]
    return named if "." in server and named in colours else owner
