"""Uses every name of the Socket.IO adapter; run by the python of an environment to be tried.

It needs python-socketio alone. Prints one JSON object: versions, and name -> what is wrong.
"""

from __future__ import annotations

import io
import json
import queue
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from typing import Any

import socketio

from mina_ops.app import socketio_adapter as adapter

Problems = dict[str, str]


def main() -> None:
    """Print what is wrong with each name, if anything."""
    server = socketio.Server(async_mode="threading", async_handlers=False)
    problems: Problems = dict.fromkeys(adapter.missing_names(server), "is gone")
    if not problems:
        _try_calls(server, problems)
        _try_engine(server, problems)
        _try_sending(problems)
        _try_queue(problems)
    versions = {name: version(name) for name in ("python-socketio", "python-engineio")}
    print(json.dumps({"versions": versions, "problems": problems}))


def _try_calls(server: Any, problems: Problems) -> None:
    """A client shakes hands, joins and sends an event; each wrapper must hear of its part."""
    heard: dict[str, tuple[Any, ...]] = {}

    def recording(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def wrapper(call: Callable[..., Any]) -> Callable[..., Any]:
            def called(*arguments: Any) -> Any:
                result = call(*arguments)
                heard[name] = (*arguments, result)
                return result

            return called

        return wrapper

    adapter.wrap_arrival(server, recording("_handle_event"))
    adapter.wrap_handling(server, recording("_handle_event_internal"))
    adapter.wrap_connect(server, recording("_handle_connect"))
    adapter.wrap_trigger(server, recording("_trigger_event"))
    server.on("another", lambda *_: None)
    app = socketio.WSGIApp(server)
    sid = json.loads(_ask(app, "GET", "EIO=4&transport=polling")[1:])["sid"]
    _ask(app, "POST", f"EIO=4&transport=polling&sid={sid}", b"40")
    _ask(app, "POST", f"EIO=4&transport=polling&sid={sid}", b'42["hello",1]')
    own = server.manager.sid_from_eio_sid(sid, "/")
    wanted: dict[str, Callable[[tuple[Any, ...]], bool]] = {
        "_handle_event": lambda a: a[0] == sid and a[1] in (None, "/"),
        "_handle_event_internal": lambda a: a[:3] == (server, own, sid),
        "_handle_connect": lambda a: a[0] == sid and a[1] in (None, "/"),
        "_trigger_event": lambda a: (
            (a[0], a[1], a[2], a[-1]) == ("hello", "/", own, server.not_handled)
        ),
    }
    for name, fits in wanted.items():
        if name not in heard:
            problems[f"socketio.Server.{name}"] = "is not called"
        elif not fits(heard[name]):
            problems[f"socketio.Server.{name}"] = f"is called with {heard[name]!r}"


def _try_engine(server: Any, problems: Problems) -> None:
    environ = {"REQUEST_METHOD": "GET", "HTTP_ORIGIN": "https://a.example"}
    environ |= {"HTTP_HOST": "a.example", "wsgi.url_scheme": "https"}
    if not callable(adapter.websocket_class(server)):
        problems["engineio.Server._async"] = "holds no websocket class"
    if ("Access-Control-Allow-Origin", "https://a.example") not in list(
        adapter.cors_headers(server, environ)
    ):
        problems["engineio.Server._cors_headers"] = "does not allow the app's own origin"
    if "https://a.example" not in (adapter.allowed_origins(server, environ) or ()):
        problems["engineio.Server._cors_allowed_origins"] = "lacks the app's own origin"


def _try_sending(problems: Problems) -> None:
    """A client's CONNECT is answered, and gets an event that was encoded before."""
    server = socketio.Server(async_mode="threading", async_handlers=False)
    answered: list[tuple[str, Any]] = []
    adapter.wrap_connect_answer(server, lambda sid, packet: answered.append((sid, packet.data)))
    server.on("connect", lambda *_: None)
    app = socketio.WSGIApp(server)
    sid = json.loads(_ask(app, "GET", "EIO=4&transport=polling")[1:])["sid"]
    _ask(app, "POST", f"EIO=4&transport=polling&sid={sid}", b"40")
    own = server.manager.sid_from_eio_sid(sid, "/")
    if answered != [(sid, {"sid": own})]:
        problems["socketio.Server._send_packet"] = f"is called with {answered!r}"
    adapter.send_packets(
        server, sid, adapter.as_packets(adapter.encode_event(server, "/", ["hello", 1]))
    )
    if '42["hello",1]' not in _ask(app, "GET", f"EIO=4&transport=polling&sid={sid}"):
        problems["socketio.Server._send_eio_packet"] = "sends nothing"
    _try_half_events(server, app, sid, problems)


def _try_half_events(server: Any, app: Any, sid: str, problems: Problems) -> None:
    """A binary event comes in two requests: between them it is known as half."""
    binary = b'451-["hello",{"_placeholder":true,"num":0}]'
    found = []
    for body in (binary, b"bAAE="):
        _ask(app, "POST", f"EIO=4&transport=polling&sid={sid}", body)
        found.append(sid in adapter.half_events(server))
    if found != [True, False]:
        problems["socketio.Server._binary_packet"] = f"holds the half event: {found}"


class _Queue(socketio.PubSubManager):  # type: ignore[misc]
    """A message queue in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.said: queue.Queue[Any] = queue.Queue()

    def _publish(self, data: Any) -> None:
        self.said.put(data)

    def _listen(self) -> Iterator[Any]:
        while True:
            yield self.said.get()


class _Heard(adapter.EmitWatcher):
    """Which of its methods were called, and whether with a message of the queue."""

    def __init__(self) -> None:
        self.numbered = self.handled = False

    def sends(self, *_arguments: Any) -> bool:
        return False

    def number(self, message: dict[str, Any]) -> None:
        self.numbered = message.get("event") == "hello"

    def heard(self, message: Mapping[str, Any]) -> AbstractContextManager[None]:
        self.handled = message.get("event") == "hello"
        return nullcontext()

    def changed(self, namespace: str, sid: str) -> None:
        pass

    def leaves(self, namespace: str, sid: str, *, for_good: bool) -> None:
        pass


def _try_queue(problems: Problems) -> None:
    """An event goes over the message queue and comes from there."""
    heard, manager = _Heard(), _Queue()
    server = socketio.Server(async_mode="threading", client_manager=manager)
    adapter.watch_manager(server, heard)
    # As the first handshake does; another process's message then.
    server.manager.initialize()
    server.manager.emit("hello", 1, namespace="/")
    message = {"method": "emit", "event": "hello", "data": 1, "namespace": "/", "room": None}
    server.manager.said.put({**message, "skip_sid": None, "callback": None, "host_id": "another"})
    until = time.monotonic() + 10
    while not heard.handled and time.monotonic() < until:
        time.sleep(0.01)
    if not heard.numbered:
        problems["socketio.PubSubManager._publish"] = "is not called"
    if not heard.handled:
        problems["socketio.PubSubManager._handle_emit"] = "is not called"


def _ask(app: Callable[..., Iterable[bytes]], method: str, query: str, body: bytes = b"") -> str:
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": "/socket.io/",
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
        "HTTP_HOST": "a.example",
    }
    return b"".join(app(environ, lambda *_: None)).decode()


if __name__ == "__main__":
    main()
