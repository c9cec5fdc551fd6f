"""The one WSGI wrapper: answers probes below Flask and times what the host serves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from time import perf_counter
from typing import Any

from flask import Request, request
from werkzeug.wsgi import ClosingIterator

from mina_ops.app.heartbeat import Heartbeat
from mina_ops.app.web.answers import (
    Answer,
    AnyMethod,
    Probe,
    ProbeRequest,
    StartResponse,
    wrong_method,
)
from mina_ops.app.web.paths import Durations, Log, Paths, Recording, Served
from mina_ops.app.web.routing import guarded
from mina_ops.app.web.sticky import STICKY_KEY

Environ = dict[str, Any]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]
_current_request: Callable[[], Request] = request._get_current_object  # type: ignore[attr-defined]

_PROBE_METHODS = ("GET", "HEAD", "OPTIONS")
_FORM = "application/x-www-form-urlencoded"
_NOT_OURS = (404, 405)
_ESCAPED = "500"  # the status of a request whose exception nobody turned into a response
_UNANSWERED: Served = ("", None, _ESCAPED)


class Middleware:
    """Wraps an app's `wsgi_app`.

    Args:
        inner: what it wraps.
        paths: what is not simply a request of the host.
        recording: where the others are recorded.
        identity: headers of every answer of ours.
        heartbeat: started with the first request of each process.
    """

    def __init__(
        self,
        inner: WSGIApp,
        paths: Paths,
        recording: Recording,
        identity: Mapping[str, str],
        heartbeat: Heartbeat,
    ) -> None:
        self.inner = inner
        probes = paths.probes
        self._probes = {path: probe for path, probe in probes.items() if not path.endswith("/")}
        self._below = {path: probe for path, probe in probes.items() if path.endswith("/")}
        self._own_paths = paths.own
        self._own_app = paths.own_app
        self._host_serves = paths.host_serves
        self._left_to_host = paths.left_to_host
        self._skip = paths.skip
        self._to_page = paths.to_page
        self._to_newcomer = paths.to_newcomer
        self._special = _short_prefixes((*probes, *paths.own, *paths.skip))
        self._identity = dict(identity)
        self._heartbeat = heartbeat
        self._durations = recording.durations
        self._log = recording.log
        self._in_flight = recording.in_flight.requests
        self._kind = _Timed if recording.log is None else _Logged

    def __call__(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        if not self._heartbeat.serving:
            self._heartbeat.start()
        path = environ.get("PATH_INFO", "")
        # One look sorts out nearly every request of the host.
        if path.startswith(self._special):
            probe = self._probe(path)
            answer = None if probe is None else self._probed(probe, path, environ)
            if answer is not None:
                return answer.to_wsgi(environ, start, self._identity)
            if self._is_own(path):
                _relabel_form(environ)
                return self._own_answer(environ, start)
            if path.startswith(self._skip):
                return self.inner(environ, start)
        if "HTTP_X_MINA_RELEASE" in environ:
            start = self._to_page(environ, start)
        if STICKY_KEY in environ:
            start = self._to_newcomer(environ, start)
        timed = self._kind()
        # Set here, not in an `__init__`, which costs a tenth of all this.
        timed.environ = environ
        timed.start = start
        timed.durations = self._durations
        timed.log = self._log
        timed.served = _UNANSWERED
        in_flight = timed.in_flight = self._in_flight
        body = None
        timed.began = perf_counter()
        in_flight.add(timed)
        try:
            body = timed.body = self.inner(environ, timed.respond)
        finally:
            # Not `except`: gevent's Timeout is no Exception, and escapes all the same.
            if body is None:
                timed.escape()
        if type(body) is not ClosingIterator and timed.goes_to_sendfile():
            return body
        return timed

    def _probe(self, path: str) -> Probe | None:
        found = self._probes.get(path)
        if found is not None:
            return found
        return next((p for prefix, p in self._below.items() if path.startswith(prefix)), None)

    def _is_own(self, path: str) -> bool:
        ours = (own for own in self._own_paths if path.startswith(own))
        return any(path[len(own) : len(own) + 1] in ("", "/", ".") for own in ours)

    def _own_answer(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        answer = None
        if self._own_app is not None and "HTTP_AUTHORIZATION" in environ:
            answer = self._own_app.answer(environ, start)
        return self.inner(environ, start) if answer is None else answer

    def _probed(self, probe: Probe, path: str, environ: Environ) -> Answer | None:
        """A probe's answer; None: it is the host's, who has a route where we have none."""
        methods = probe.methods if isinstance(probe, AnyMethod) else _PROBE_METHODS
        method = environ.get("REQUEST_METHOD", "GET")
        if path in self._left_to_host and self._host_serves(path, method):
            return None
        if method == "OPTIONS" and not isinstance(probe, AnyMethod):
            return Answer(204, headers={"Allow": ", ".join(methods)})
        if method in methods:
            answer = guarded(lambda: probe(ProbeRequest(path, environ)))
        else:
            answer = wrong_method(methods)
        is_ours = answer.status not in _NOT_OURS or not self._host_serves(path, method)
        return answer if is_ours else None


class _Timed:
    """A request of the host, from its call to the close of its response; only then is it over."""

    __slots__ = ("began", "body", "durations", "environ", "in_flight", "log", "served", "start")

    began: float
    body: Iterable[bytes]
    durations: Durations
    environ: Environ
    in_flight: set[Any]
    log: Log | None
    served: Served
    start: StartResponse

    def respond(self, line: str, headers: Any, exc_info: Any = None) -> Any:
        """What the host calls as `start_response`."""
        # Flask's request is known only until it pops its context, and not from our environ:
        # Flask-SocketIO gives Flask a copy.
        try:
            rule = _current_request().url_rule
        except RuntimeError:
            rule = None  # not within Flask
        route = None if rule is None else rule.rule
        self.served = (self.environ["REQUEST_METHOD"], route, line)
        if exc_info is None:
            return self.start(line, headers)
        return self.start(line, headers, exc_info)

    def __iter__(self) -> Iterator[bytes]:
        # Not `yield from`: that would close the body, which `close` does once.
        try:
            for chunk in self.body:  # noqa: UP028
                yield chunk
        except Exception:
            self._fail()
            raise

    def close(self) -> None:
        """Close the response; the request is over."""
        try:
            self.body.close()  # type: ignore[attr-defined]
        except AttributeError:
            if hasattr(self.body, "close"):
                raise
        finally:
            # As in `done`, without the call.
            began = self.began
            if began:
                self.began = 0.0
                self.in_flight.discard(self)
                self.durations[self.served].append(perf_counter() - began)

    def done(self) -> None:
        """Count the request; idempotent."""
        began, self.began = self.began, 0.0
        if began:
            self.in_flight.discard(self)
            self.durations[self.served].append(perf_counter() - began)

    def escape(self) -> None:
        """An exception left the host, whatever it said of its status before."""
        self._fail()
        self.done()

    def _fail(self) -> None:
        self.served = (self.environ["REQUEST_METHOD"], self.served[1], _ESCAPED)

    def goes_to_sendfile(self) -> bool:
        """Whether the server must get the body itself, as it knows its own file wrapper by type.

        Its `close` is then ours, where it lets us; otherwise the request is over now.
        """
        body, wrapper = self.body, self.environ.get("wsgi.file_wrapper")
        if wrapper is None:
            return False
        if not (isinstance(body, wrapper) if isinstance(wrapper, type) else hasattr(body, "read")):
            return False
        close = getattr(body, "close", None)

        def close_and_tell() -> None:
            try:
                if close is not None:
                    close()
            finally:
                self.done()

        with suppress(AttributeError, TypeError):
            body.close = close_and_tell  # type: ignore[attr-defined]
            return True
        self.done()
        return True


class _Logged(_Timed):
    """A timed request that is logged when its response begins."""

    __slots__ = ()

    def respond(self, line: str, headers: Any, exc_info: Any = None) -> Any:
        # As in `_tell` and the base's `respond`, without these calls.
        log, self.log = self.log, None
        if log is not None:
            log(self.environ)
        try:
            rule = _current_request().url_rule
        except RuntimeError:
            rule = None
        self.served = (self.environ["REQUEST_METHOD"], None if rule is None else rule.rule, line)
        if exc_info is None:
            return self.start(line, headers)
        return self.start(line, headers, exc_info)

    def escape(self) -> None:
        self._tell()
        super().escape()

    def _tell(self) -> None:
        log, self.log = self.log, None
        if log is not None:
            log(self.environ)


def _short_prefixes(paths: Iterable[str]) -> tuple[str, ...]:
    """Few prefixes, of two segments at most, that all of the paths begin with."""
    cut = sorted({"/".join(path.split("/", 3)[:3]) for path in paths})
    return tuple(path for i, path in enumerate(cut) if not path.startswith(tuple(cut[:i])))


def _relabel_form(environ: Environ) -> None:
    if environ.get("CONTENT_TYPE", "").startswith(_FORM):
        environ["CONTENT_TYPE"] = "application/json"
