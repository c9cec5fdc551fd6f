"""Requests as they are, byte by byte, and spellings of headers and paths that hostile ones use."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True)
class Reply:
    """The first answer on a connection; status 0: none came."""

    status: int
    headers: dict[str, str]
    body: bytes


def send(port: int, request: bytes, *, seconds: float = 30.0) -> Reply:
    """What is answered to these bytes, on a connection of their own.

    It is read to its end, or until nothing came for so many seconds.
    """
    data = b""
    with (
        suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout=seconds) as link,
    ):
        link.sendall(request)
        while part := link.recv(65536):
            data += part
    while data.startswith(b"HTTP/1.1 100 "):  # "go on", which is no answer yet
        data = data.partition(b"\r\n\r\n")[2]
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    words = first.split(" ")
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    return Reply(status, headers, body)


def get(port: int, target: str, *headers: str, seconds: float = 30.0) -> Reply:
    """A GET with further header lines, whatever they hold."""
    lines = (f"GET {target} HTTP/1.1", "Host: mina.example", *headers, "Connection: close")
    request = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
    return send(port, request, seconds=seconds)


# Names that a proxy, gunicorn, Flask, python-engineio or mina_ops might go by.
NAMES = (
    *("Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Expect", "TE"),
    *("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Prefix"),
    *("X-Forwarded-Port", "Forwarded", "X-Real-IP", "X-Script-Name", "SCRIPT_NAME", "SCRIPT-NAME"),
    *("PATH_INFO", "REMOTE_USER", "REMOTE_ADDR", "QUERY_STRING", "REQUEST_METHOD", "wsgi.input"),
    *("X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-Http-Method", "HTTP_HOST"),
    *("X-Request-ID", "X_Request_ID", "X-Mina-Drain-Status", "X-Mina-Only-If-Ready"),
    *("X-Mina-First-Instance", "X-Mina-Refused", "X-Mina-Tester", "X-Mina-Environment"),
    *("X-Mina-Version", "X_Forwarded_For", "Accept", "Accept-Encoding", "Range", "If-None-Match"),
    *("Origin", "Sec-Fetch-Site", "Referer", "User-Agent", "Content-Type", "Content-Encoding"),
    *("HTTP2-Settings", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Keep-Alive", "Via"),
    *("Proxy-Authorization", "Proxy", "Authorization", "Cookie", "X-Accel-Redirect", ""),
)
VALUES = (
    *("", " ", "0", "-1", "1e9", "chunked", "chunked, chunked", "identity", "gzip", "close"),
    *("keep-alive, X-Forwarded-For", "websocket", "h2c", "Upgrade, HTTP2-Settings", "green"),
    *("green.0~x", "127.0.0.1", "::1", "10.0.0.1, 127.0.0.1", "for=127.0.0.1;proto=https"),
    *("https", "evil.example", "http://[", "null", "/admin/drain", "/x", "..", "%2e%2e", "1"),
    *("503", "504", "200", "true", "100-continue", "bytes=0-0,1-1,2-2", "*/*;q=nan", '"', "W/"),
    *("Bearer", "Bearer ", "Bearer x", "Basic Og==", "mina_console=x", "session=.x", "a=b; a=c"),
    *("goodgood1", "goodgood1, <script>", "\t", "\x0b", "\x7f", "\x00", "\xff\xfe", "\x1b[2J"),
    *("a" * 1_000, "a" * 9_000, "a," * 3_000, "application/json", "text/html", "multipart/x"),
)
TARGETS = (
    *("/echo", "/api/health", "/api/health/ready", "/api/metrics/errors", "/metrics", "/api/flags"),
    *("/admin/flags", "/admin/drain", "/admin/audit", "/mina-ops/", "/mina-ops/data", "/nothing"),
    *("/socket.io/?EIO=4&transport=polling", "/socket.io/?transport=websocket"),
)


def header_sets(count: int, seed: int = 1) -> Iterator[tuple[str, list[str]]]:
    """So many targets with one to four header lines each, some doubled, folded or misspelt."""
    chance = random.Random(seed)
    for _ in range(count):
        lines = []
        for _ in range(chance.randint(1, 4)):
            name, value = chance.choice(NAMES), chance.choice(VALUES)
            if chance.random() < 0.1:
                name = chance.choice((name.upper(), name.lower(), name.replace("-", "_")))
            # Mostly well-formed, as a balancer refuses the rest at once.
            separator = chance.choice((*[": "] * 16, ":", " :", ":\t", ""))
            line = f"{name}{separator}{value}"
            line += chance.choice((*[""] * 30, "\r\n folded", "\r\n\tX: y"))
            lines += [line] * chance.choice((1, 1, 1, 1, 2))
        yield chance.choice(TARGETS), lines


def path_spellings(path: str) -> list[str]:
    """Ways to write a path, some of which are another one for the app."""
    head, tail = path[1], path[2:]
    first, _, rest = path.strip("/").partition("/")
    encoded = "".join(f"%{ord(c):02x}" for c in path[1:])
    found = [path, f"/{path}", f"//{path}", f"/.{path}", f"/x/..{path}", f"/%2e{path}"]
    found += [f"/%{ord(head):02X}{tail}", f"/{encoded}", f"%2F{path[1:]}", f"/%2F{path[1:]}"]
    found += [f"/{first.upper()}/{rest}", f"{path}/", f"{path}//", f"{path}/.", f"{path}/.."]
    found += [f"{path};x", f"{path}%3Bx", f"{path}?x", f"{path}%3Fx", f"{path}%23", f"{path}#x"]
    found += [f"{path}%00", f"{path}%20", f"{path} ", f"{path}\t", f"{path}.json", f"{path}\\"]
    found += [f"http://mina.example{path}", f"http://evil.example:80{path}", f"//evil{path}"]
    found += [f"/\\{path[1:]}", f"/%5C{path[1:]}", f"/%252F{path[1:]}", f"/%c0%af{path[1:]}"]
    found += [path.replace("/", "%2F"), path.replace("/", "//"), path.replace("/", "/./")]
    found += [f"/x%2F..{path}", f"/x/%2e%2e{path}", f"/socket.io/..{path}", f"/static/..{path}"]
    found += [f"/static/%2e%2e{path}", f"/socket.io/%2e%2e{path}", path[1:], f"*{path}"]
    return found
