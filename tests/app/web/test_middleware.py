from __future__ import annotations

import io
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults

import pytest
from flask import Flask, Response, request, stream_with_context

from mina_ops.app.heartbeat import Heartbeat
from mina_ops.app.web.answers import Answer
from mina_ops.app.web.middleware import Middleware
from mina_ops.app.web.paths import Paths, Recording, Served

Environ = dict[str, Any]


@dataclass
class Wrapped:
    """A middleware around an app, what it observed, and what the client got."""

    inner: Callable[..., Iterable[bytes]]
    logged: list[str] | None = None
    durations: dict[Served, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    status: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        heartbeat = Heartbeat(1.0)
        heartbeat.running = True
        log = None if self.logged is None else lambda e: self.logged.append(e["PATH_INFO"])
        self.middleware = Middleware(
            self.inner,
            Paths(
                probes={
                    "/api/health": lambda request: Answer(200, {"path": request.path}),
                    "/api/health/": lambda request: Answer(200, {"below": request.path}),
                },
                own=("/api/flags", "/admin/openapi"),
                skip=("/socket.io/",),
            ),
            Recording(self.durations, log),
            {"X-Mina-Environment": "blue"},
            heartbeat,
        )

    def __call__(self, path: str = "/", **environ: Any) -> Iterable[bytes]:
        full: Environ = {"PATH_INFO": path, **environ}
        setup_testing_defaults(full)

        def start(status: str, headers: Any, exc_info: Any = None) -> None:
            self.status, self.headers = status, headers

        return self.middleware(full, start)

    def served(self) -> list[Served]:
        return [served for served, times in self.durations.items() for _ in times]

    def get(self, path: str = "/", **environ: Any) -> bytes:
        body = self(path, **environ)
        data = b"".join(body)
        close(body)
        return data


def close(body: Iterable[bytes]) -> None:
    if hasattr(body, "close"):
        body.close()


class Body:
    """A response that tells what was done with it."""

    def __init__(self, chunks: Iterable[bytes] = (b"one", b"two")) -> None:
        self.chunks = chunks
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.chunks)

    def close(self) -> None:
        self.closed += 1


def serving(body: Iterable[bytes], status: str = "200 OK") -> Callable[..., Iterable[bytes]]:
    def app(environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        start(status, [])
        return body

    return app


def test_a_request_is_over_when_its_response_is_closed() -> None:
    wrapped = Wrapped(serving(Body()))
    body = wrapped()
    assert list(body) == [b"one", b"two"]
    assert wrapped.served() == []
    close(body)
    assert wrapped.served() == [("GET", None, "200 OK")]


def test_a_response_is_closed_and_counted_one_time() -> None:
    inner = Body()
    wrapped = Wrapped(serving(inner))
    wrapped.get()
    assert inner.closed == 1
    body = wrapped()
    close(body)
    close(body)
    assert len(wrapped.served()) == 2


def test_a_list_without_close_is_a_response_too() -> None:
    wrapped = Wrapped(serving([b"x"]))
    assert wrapped.get() == b"x"
    assert len(wrapped.served()) == 1


def test_the_status_that_counts_is_the_last_one_given() -> None:
    def app(environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        start("200 OK", [])
        try:
            raise ValueError
        except ValueError as error:
            start("503 Later", [], (ValueError, error, error.__traceback__))
        return [b""]

    wrapped = Wrapped(app)
    wrapped.get()
    assert wrapped.served() == [("GET", None, "503 Later")]


def test_a_generator_app_that_starts_late_has_its_status() -> None:
    def app(environ: Environ, start: Callable[..., Any]) -> Iterator[bytes]:
        start("418 Teapot", [])
        yield b"x"

    wrapped = Wrapped(app)
    wrapped.get()
    assert wrapped.served() == [("GET", None, "418 Teapot")]


class Unplugged(BaseException):
    """As gevent's Timeout: no Exception."""


@pytest.mark.parametrize("error", [RuntimeError, Unplugged])
def test_an_exception_that_escapes_is_an_error(error: type[BaseException]) -> None:
    def app(environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        start("200 OK", [])
        raise error

    wrapped = Wrapped(app)
    with pytest.raises(error):
        wrapped()
    assert wrapped.served() == [("GET", None, "500")]


def test_a_stream_that_breaks_is_an_error() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"one"
        raise RuntimeError("no more")

    wrapped = Wrapped(serving(Body(chunks())))
    body = wrapped()
    with pytest.raises(RuntimeError, match="no more"):
        list(body)
    close(body)
    assert wrapped.served() == [("GET", None, "500")]


def test_a_client_that_leaves_is_no_error_and_its_stream_is_closed() -> None:
    inner = Body()
    wrapped = Wrapped(serving(inner))
    body = wrapped()
    next(iter(body))
    close(body)
    assert inner.closed == 1
    assert wrapped.served() == [("GET", None, "200 OK")]


def test_a_response_whose_close_fails_is_counted() -> None:
    class Broken(Body):
        def close(self) -> None:
            raise AttributeError("in close itself")

    wrapped = Wrapped(serving(Broken()))
    with pytest.raises(AttributeError, match="in close itself"):
        wrapped.get()
    assert len(wrapped.served()) == 1


def test_the_servers_file_wrapper_reaches_the_server_and_is_timed_to_its_close() -> None:
    file = io.BytesIO(b"content")
    inner = FileWrapper(file)
    wrapped = Wrapped(serving(inner))
    body = wrapped(**{"wsgi.file_wrapper": FileWrapper})
    assert body is inner
    assert wrapped.served() == []
    close(body)
    assert file.closed
    assert wrapped.served() == [("GET", None, "200 OK")]


def test_a_file_wrapper_that_cannot_be_watched_still_reaches_the_server() -> None:
    class Native:
        """As a server's C type: its instances take no attributes."""

        __slots__ = ()

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x"])

    inner = Native()
    wrapped = Wrapped(serving(inner))
    assert wrapped(**{"wsgi.file_wrapper": Native}) is inner
    assert len(wrapped.served()) == 1


def test_a_wrapper_that_is_a_function_gets_its_own_file_back() -> None:
    file = io.BytesIO(b"content")
    wrapped = Wrapped(serving(file))
    body = wrapped(**{"wsgi.file_wrapper": lambda file, size=0: file})
    assert body is file
    close(body)
    assert file.closed
    assert len(wrapped.served()) == 1


@pytest.mark.parametrize("path", ["/socket.io/", "/socket.io/?sid=x", "/api/flags", "/api/flags/x"])
def test_traffic_that_is_not_the_hosts_requests_is_not_timed(path: str) -> None:
    wrapped = Wrapped(serving(Body()))
    assert wrapped.get(path) == b"onetwo"
    assert wrapped.served() == []


@pytest.mark.parametrize("path", ["/api/flagship", "/socket.iox", "/api", "/api/healthy", ""])
def test_a_path_that_only_looks_like_ours_is_the_hosts(path: str) -> None:
    wrapped = Wrapped(serving(Body()))
    assert wrapped.get(path) == b"onetwo"
    assert len(wrapped.served()) == 1


def test_probes_are_answered_without_the_host() -> None:
    wrapped = Wrapped(serving(Body()))
    assert wrapped.get("/api/health") == b'{"path": "/api/health"}\n'
    assert wrapped.get("/api/health/db") == b'{"below": "/api/health/db"}\n'
    assert ("X-Mina-Environment", "blue") in wrapped.headers
    assert wrapped.get("/api/health", REQUEST_METHOD="HEAD") == b""
    wrapped.get("/api/health", REQUEST_METHOD="POST")
    assert wrapped.status == "405 Method Not Allowed"
    assert ("Allow", "GET, HEAD, OPTIONS") in wrapped.headers
    assert wrapped.get("/api/health", REQUEST_METHOD="OPTIONS") == b""
    assert wrapped.status == "204 No Content"
    assert ("Allow", "GET, HEAD, OPTIONS") in wrapped.headers
    assert wrapped.served() == []


def test_json_that_curl_labelled_as_a_form_is_relabelled_for_our_routes_alone() -> None:
    kinds: list[str] = []

    def app(environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        kinds.append(environ["CONTENT_TYPE"])
        start("200 OK", [])
        return []

    wrapped = Wrapped(app)
    form = "application/x-www-form-urlencoded"
    wrapped.get("/api/flags", CONTENT_TYPE=form)
    wrapped.get("/login", CONTENT_TYPE=form)
    assert kinds == ["application/json", form]


def flask_host() -> Flask:
    app = Flask(__name__)

    @app.route("/api/sessions/<int:number>", methods=["GET", "POST"])
    def session(number: int) -> str:
        return str(number)

    @app.get("/stream")
    def stream() -> Response:
        def chunks() -> Iterator[str]:
            yield request.path
            yield "end"

        return Response(stream_with_context(chunks()))

    @app.get("/boom")
    def boom() -> str:
        raise RuntimeError

    return app


@pytest.mark.parametrize(
    ("path", "served"),
    [
        ("/api/sessions/5", ("GET", "/api/sessions/<int:number>", "200 OK")),
        ("/stream", ("GET", "/stream", "200 OK")),
        ("/boom", ("GET", "/boom", "500 INTERNAL SERVER ERROR")),
        ("/api/sessions/x", ("GET", None, "404 NOT FOUND")),
        ("/no/such", ("GET", None, "404 NOT FOUND")),
    ],
)
def test_the_route_is_flasks_rule_and_never_the_path(path: str, served: Served) -> None:
    wrapped = Wrapped(flask_host().wsgi_app)
    wrapped.get(path)
    assert wrapped.served() == [served]


def test_the_route_is_known_when_something_between_copies_the_environ() -> None:
    app = flask_host()
    wrapped = Wrapped(lambda environ, start: app.wsgi_app(environ.copy(), start))
    wrapped.get("/api/sessions/5")
    assert wrapped.served() == [("GET", "/api/sessions/<int:number>", "200 OK")]


def test_a_wrong_method_has_no_route() -> None:
    wrapped = Wrapped(flask_host().wsgi_app)
    wrapped.get("/stream", REQUEST_METHOD="DELETE")
    assert wrapped.served() == [("DELETE", None, "405 METHOD NOT ALLOWED")]


def test_a_request_is_logged_one_time_when_its_response_begins() -> None:
    wrapped = Wrapped(flask_host().wsgi_app, logged=[])
    body = wrapped("/stream")
    assert wrapped.logged == ["/stream"]
    list(body)
    close(body)
    assert wrapped.logged == ["/stream"]
    assert wrapped.served() == [("GET", "/stream", "200 OK")]
