"""The HTTP of the API server: get, list, watch, create, replace, apply, delete, status."""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.kubernetes.objects import Json, Key, Objects, OutOfDate
from tests.support.kubernetes.ownership import Conflicts

_PATH = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+/[^/]+))"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/))?/(?P<plural>[a-z]+)"
    r"(?:/(?P<name>[^/]+))?(?:/(?P<sub>status))?$"
)
_END_OF_FIRST = {"k8s.io/initial-events-end": "true"}
# Those whose name is more than one word; clients refuse a list of another kind.
_KINDS = {
    "configmaps": "ConfigMap",
    "endpointslices": "EndpointSlice",
    "gatewayclasses": "GatewayClass",
    "httproutes": "HTTPRoute",
    "grpcroutes": "GRPCRoute",
    "tlsroutes": "TLSRoute",
    "tcproutes": "TCPRoute",
    "udproutes": "UDPRoute",
    "listenersets": "ListenerSet",
    "referencegrants": "ReferenceGrant",
    "backendtlspolicies": "BackendTLSPolicy",
}
Allows = Callable[[str, str, Key], bool]
"""Whether a token may do a verb to an object: token, verb, key."""


class ApiServer:
    """One API server on loopback, over plain HTTP or TLS.

    Args:
        certificate: with its key, in one file; None: plain HTTP.

    Attributes:
        objects: what is in the cluster.
        allows: who may do what; default: everybody everything.
        tokens: those that are known; None: all.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self.objects = Objects()
        self.allows: Allows = lambda _token, _verb, _key: True
        self.tokens: set[str] | None = None
        handler = type("Handler", (_Handler,), {"cluster": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self.take_certificate(certificate)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it answers."""
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._http.server_address[1])

    def take_certificate(self, certificate: Path) -> None:
        """Speak TLS; with another certificate from now on, where it did already."""
        if self._tls is not None:
            self._tls.load_cert_chain(certificate)
            return
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate)
        # The handshake is the handler's, at its first read: one that is slow holds up nobody.
        self._http.socket = self._tls.wrap_socket(
            self._http.socket, server_side=True, do_handshake_on_connect=False
        )

    @contextmanager
    def running(self) -> Iterator[ApiServer]:
        """Itself, while it serves."""
        self._thread.start()
        try:
            yield self
        finally:
            self.objects.close()
            self._http.shutdown()
            self._http.server_close()
            self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are two writes: the second would wait for the other side's acknowledgement.
    disable_nagle_algorithm = True
    cluster: ApiServer
    _query: dict[str, str]

    def log_message(self, *_: Any) -> None:
        pass

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(timestamp or self.cluster.objects.now(), usegmt=True)

    def do_GET(self) -> None:
        self._serve("get")

    def do_POST(self) -> None:
        self._serve("create")

    def do_PUT(self) -> None:
        self._serve("update")

    def do_PATCH(self) -> None:
        self._serve("patch")

    def do_DELETE(self) -> None:
        self._serve("delete")

    def _serve(self, verb: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        url = urlsplit(self.path)
        self._query = {key: values[0] for key, values in parse_qs(url.query).items()}
        found = _PATH.match(url.path)
        if url.path == "/version":
            self._json(200, {"major": "1", "minor": "31", "gitVersion": "v1.31.0"})
        elif not found:
            self._status(404, "NotFound", "there is no such path", "")
        else:
            collection = f"{found['core'] or found['group']}/{found['plural']}"
            name = found["name"] or body.get("metadata", {}).get("name", "")
            self._allowed(verb, (collection, found["namespace"] or "", name), body, found["sub"])

    def _allowed(self, verb: str, key: Key, body: Json, sub: str | None) -> None:
        if verb == "get" and not key[2]:
            verb = "watch" if self._query.get("watch") in ("true", "1") else "list"
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        known = self.cluster.tokens
        if known is not None and token not in known:
            self._status(401, "Unauthorized", "Unauthorized", key[2])
            return
        if not self.cluster.allows(token, verb, key):
            plural = key[0].rpartition("/")[2]
            said = f'{plural} "{key[2]}" is forbidden: cannot {verb}'
            self._status(403, "Forbidden", said, key[2])
            return
        with suppress(BrokenPipeError, ConnectionResetError):
            getattr(self, f"_{verb}")(key, body, sub)

    def _get(self, key: Key, _body: Json, _sub: str | None) -> None:
        value = self.cluster.objects.get(key)
        if value is None:
            self._missing(key)
            return
        self._json(200, value)

    def _list(self, key: Key, _body: Json, _sub: str | None) -> None:
        items, version = self.cluster.objects.listed(*key[:2])
        items = [item for item in items if self._is_selected(item)]
        metadata = {"resourceVersion": str(version)}
        kind = f"{_kind_of(key[0])}List"
        version_of = key[0].rpartition("/")[0]
        self._json(
            200, {"kind": kind, "apiVersion": version_of, "metadata": metadata, "items": items}
        )

    def _watch(self, key: Key, _body: Json, _sub: str | None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        objects = self.cluster.objects
        since = int(self._query.get("resourceVersion") or 0)
        if self._query.get("sendInitialEvents") == "true" or not since:
            items, since = objects.listed(*key[:2])
            for item in filter(self._is_selected, items):
                self._event("ADDED", item)
            if self._query.get("sendInitialEvents") == "true":
                self._bookmark(key, since)
        until = time.monotonic() + float(self._query.get("timeoutSeconds") or 3600)
        for event in objects.events(*key[:2], since, until):
            if self._is_selected(event.value):
                self._event(event.kind, event.value)
        self.wfile.write(b"0\r\n\r\n")

    def _bookmark(self, key: Key, version: int) -> None:
        metadata = {"annotations": _END_OF_FIRST, "resourceVersion": str(version)}
        about = {"kind": _kind_of(key[0]), "apiVersion": key[0].rpartition("/")[0]}
        self._event("BOOKMARK", {**about, "metadata": metadata})

    def _create(self, key: Key, body: Json, _sub: str | None) -> None:
        if self.cluster.objects.get(key) is not None:
            self._status(409, "AlreadyExists", f'"{key[2]}" already exists', key[2])
            return
        self._json(201, self.cluster.objects.write(key, body, self._manager()))

    def _update(self, key: Key, body: Json, sub: str | None) -> None:
        objects = self.cluster.objects
        if objects.get(key) is None:
            self._missing(key)
            return
        try:
            value = (
                objects.write_status(key, body)
                if sub
                else objects.write(key, body, self._manager())
            )
        except OutOfDate:
            self._out_of_date(key)
            return
        self._json(200, value)

    def _patch(self, key: Key, body: Json, _sub: str | None) -> None:
        if self.headers.get("Content-Type") != "application/apply-patch+yaml":
            self._status(415, "UnsupportedMediaType", "only server-side apply", key[2])
            return
        force = self._query.get("force") == "true"
        try:
            value, is_new = self.cluster.objects.apply(key, body, self._manager(), force=force)
        except OutOfDate:
            self._out_of_date(key)
            return
        except Conflicts as conflicts:
            self._conflicts(key, conflicts, body["apiVersion"])
            return
        self._json(201 if is_new else 200, value)

    def _delete(self, key: Key, _body: Json, _sub: str | None) -> None:
        if self.cluster.objects.delete(key) is None:
            self._missing(key)
            return
        self._status(200, "", "", key[2])

    def _manager(self) -> str:
        agent = self.headers.get("User-Agent", "unknown").partition("/")[0]
        return self._query.get("fieldManager") or agent

    def _is_selected(self, value: Json) -> bool:
        labels = value["metadata"].get("labels") or {}
        for part in filter(None, self._query.get("labelSelector", "").split(",")):
            name, unlike, wanted = part.partition("!=")
            if not unlike:
                name, _, wanted = part.partition("=")
            if (labels.get(name) == wanted) is bool(unlike):
                return False
        return True

    def _event(self, kind: str, value: Json) -> None:
        data = json.dumps({"type": kind, "object": value}).encode() + b"\n"
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _missing(self, key: Key) -> None:
        plural = key[0].rpartition("/")[2]
        self._status(404, "NotFound", f'{plural} "{key[2]}" not found', key[2])

    def _out_of_date(self, key: Key) -> None:
        said = f'Operation cannot be fulfilled on "{key[2]}": the object has been modified'
        self._status(409, "Conflict", said, key[2])

    def _conflicts(self, key: Key, conflicts: Conflicts, version: str) -> None:
        causes = [
            {
                "reason": "FieldManagerConflict",
                "message": f'conflict with "{manager}" using {version}',
                "field": f".{'.'.join(path)}",
            }
            for (manager, _), paths in conflicts.owned.items()
            for path in sorted(paths)
        ]
        said = f"Apply failed with {len(causes)} conflicts"
        self._status(409, "Conflict", said, key[2], causes)

    def _status(
        self, code: int, reason: str, said: str, name: str, causes: list[Json] | None = None
    ) -> None:
        self._json(
            code,
            {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Failure" if code >= 400 else "Success",
                "message": said,
                "reason": reason,
                "details": {"name": name, "causes": causes or []},
                "code": code,
            },
        )

    def _json(self, code: int, value: Json) -> None:
        data = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _kind_of(collection: str) -> str:
    plural = collection.rpartition("/")[2]
    return _KINDS.get(plural, plural.removesuffix("s").capitalize())
