"""Spellings of one request, and what an app behind gunicorn makes of it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

SID = "green.0~x"


def queries() -> Iterator[str]:
    """Ways to write a query with a session id of green, some of which are none."""
    names = ("sid", "SID", "Sid", "s%69d", "%73id", "sid%00", "sid ", " sid", "sid[]", "+sid", "")
    values = (SID, "green.0%7Ex", "green.0%7ex", "%67reen.0~x", "GREEN.0~x", "green.0~", "green.")
    values += ("green%2E0~x", "blue.0~x", "", "green.0~x%00", "green.0~x#", "+green.0~x")
    separators = ("&", ";", "&&", "%26", "#", "?", "&amp;", "&;", "\t", "&\x0b", "%00&")
    heads = ("EIO=4&transport=polling", "EIO=4", "transport=polling&EIO=4", "sid=", "x")
    for name, value, sep, head in itertools.product(names, values, separators, heads):
        pair = f"{name}={value}"
        yield f"{head}{sep}{pair}"
        yield f"{pair}{sep}{head}"


def paths() -> Iterator[str]:
    """Ways to write the path of Socket.IO, some of which are another one."""
    yield from ("/socket.io/", "/socket.io", "//socket.io/", "/./socket.io/", "/socket%2Eio/")
    yield from ("/%73ocket.io/", "/SOCKET.IO/", "/socket.io//", "/socket.io/x", "/socket.io;/")
    yield from ("/x/../socket.io/", "/socket.io/../page", "/socket.io/%2e%2e/page", "/socket.iox")
    yield from ("/socket.io%2f", "/socket.io\\", "/page", "http://mina.example/socket.io/")
    yield from ("*", "socket.io/", "/socket.io/.", "/socket.io/%00")


def spellings(count: int, seed: int = 1) -> list[str]:
    """So many request targets: each path with a plain query, then random pairs of both."""
    sure = [f"{path}?EIO=4&transport=polling&sid={SID}" for path in paths()]
    sure += [f"/socket.io/?{query}" for query in queries()]
    chance = random.Random(seed)
    every, places = list(queries()), list(paths())
    mixed = (f"{chance.choice(places)}?{chance.choice(every)}" for _ in itertools.count())
    chosen = sure[:20] + chance.sample(sure[20:], min(len(sure) - 20, count // 2))
    return [*chosen, *itertools.islice(mixed, max(0, count - len(chosen)))]
