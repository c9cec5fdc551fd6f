"""How both colours serve Socket.IO, and whether they share a store and a message queue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mina_ops.errors import MinaOpsError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.doctor.findings import Finding, fault, ok, unknown, warning

_FEW = 32
"""With room for fewer sessions than this, a process is full long before it is busy."""
_MANY = 20
"""So many handshakes that all failed are no accident."""

Said = Mapping[str, Any]


def examine(settings: OperatorSettings) -> Iterator[Finding]:
    """Async mode, transports and room of each colour, and the store that both must share."""
    said: dict[str, Said] = {}
    for colour in settings.colours.values():
        other = settings.other(colour.name).name
        try:
            with AppClient(colour.name, colour.url) as client:
                own = client.metric("connections")
                of_other = client.metric("connections", environment=other)
                handshakes = client.metric("websockets")
        except MinaOpsError as error:
            yield unknown("sockets", f"{colour.name} was not asked: {error}")
            continue
        seen = {"seen": of_other.get("reporters"), "handshakes": handshakes}
        said[colour.name] = {**own, **seen}
    for name, body in said.items():
        yield from _server(name, body.get("server") or {})
        yield from _handshakes(name, body["handshakes"])
    if len(said) == len(settings.colours):
        yield from _both(said)


def _server(name: str, server: Said) -> Iterator[Finding]:
    """What the process that answered says of its Socket.IO server."""
    if not server:
        yield unknown("sockets", f"{name} serves no Socket.IO, or an older mina_ops is in it")
        return
    mode, most = server.get("async_mode"), server.get("most_sessions")
    if "websocket" not in (server.get("transports") or ()):
        yield warning(
            "sockets",
            f"{name} offers long polling alone: each message costs a request",
            "take `transports` out of SocketIO(...)",
        )
    if isinstance(most, int) and most < _FEW:
        yield warning(
            "sockets",
            f"a process of {name} takes {most} sessions ({mode}); a websocket keeps its thread",
            "gunicorn --worker-class gthread --threads 1000, or a gevent worker",
        )
        return
    room = "no limit that it knows of" if most is None else f"{most} sessions a process"
    yield ok("sockets", f"{name} serves Socket.IO ({mode}), {room}")


def _handshakes(name: str, figures: Said) -> Iterator[Finding]:
    """Whether every one of many handshakes failed.

    Mistakes of clients differ from one to the other; if all of them fail, the server is at fault.
    """
    attempts, accepted = figures.get("attempts") or 0, figures.get("accepted")
    if attempts < _MANY or accepted:
        return
    told = ", ".join(f"{why} {number}" for why, number in (figures.get("failures") or {}).items())
    yield warning(
        "sockets",
        f"none of the last {attempts} handshakes at {name} came in: {told}",
        "try one: wscat -c 'ws://.../socket.io/?EIO=4&transport=websocket'; if it is cut at once, "
        "worker class, async_mode and websocket library do not fit together (the log says which)",
    )


def _both(said: Mapping[str, Said]) -> Iterator[Finding]:
    modes = {name: (body.get("server") or {}).get("async_mode") for name, body in said.items()}
    if None not in modes.values() and len(set(modes.values())) > 1:
        told = " and ".join(f"{name} {mode}" for name, mode in modes.items())
        yield warning(
            "sockets",
            f"the colours differ in their async mode: {told}",
            "start both with the same worker class, or know why not",
        )
    alone = [name for name, body in said.items() if body["seen"] == 0]
    for name in alone:
        yield fault(
            "sockets",
            f"{name} sees no process of the other colour: drains, flags and figures are not shared",
            "give both the same REDIS_URL and the same MINA_OPS_PRODUCT",
        )
    queueless = [name for name, body in said.items() if body.get("message_queue") is False]
    if queueless:
        yield warning(
            "sockets",
            f"{' and '.join(queueless)} without a message queue: what one colour emits never "
            "reaches clients of the other",
            "SocketIO(app, message_queue=os.environ['REDIS_URL'])",
        )
    if not alone:
        yield ok("sockets", f"{' and '.join(said)} see each other")
