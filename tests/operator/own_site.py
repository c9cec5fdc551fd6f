"""A site as a team may have it already: a HAProxy of its own, moved by a script of its own.

It is what `[traffic.command]` is for. The site's map holds who goes where; nothing is reloaded.

    own_site.py FOLDER apply    the split on standard input, as JSON, is what is served
    own_site.py FOLDER read     prints the split that is served

Only the standard library, as on a host where nothing else is installed. `configuration` is the
site's haproxy.cfg.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

_SITE = """
global
    stats socket {folder}/admin.sock mode 600 level admin
defaults
    mode http
    option http-server-close
    option redispatch 1
    retries 3
    retry-on conn-failure
    timeout connect 2s
    timeout client 65s
    timeout server 60s
    timeout tunnel 1h
frontend site
    bind 127.0.0.1:{port}
    http-request del-header Forwarded
    http-request del-header X-Forwarded-Prefix
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Real-IP %[src]
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.fhdr(Host)]
    # What a colour answers to a new session while it was ordered to drain; it goes to the other.
    http-request set-header X-Mina-Drain-Status 504
    acl named_well req.fhdr(X-Request-ID) -m reg ^[A-Za-z0-9._-]{{8,128}}$
    http-request set-var(txn.id) req.fhdr(X-Request-ID) if named_well
    http-request set-var(txn.id) uuid if !named_well
    http-request set-header X-Request-ID %[var(txn.id)]
    http-response set-header X-Request-ID %[var(txn.id)]
    # The same visitor gets the same colour: by a cookie of the site's own that begins with the
    # bucket, and without it by address and user agent. What caches keep gets no cookie.
    acl is_known req.cook({cookie}) -m found
    acl is_ours req.cook({cookie}) -m reg ^[0-9]{{1,2}}[.]
    acl is_file path_beg /static/
    acl is_kept res.fhdr(Cache-Control) -m sub public
    http-request set-var-fmt(txn.key) "%[src] %[req.fhdr(User-Agent)]"
    http-request set-var(txn.key) req.cook({cookie}) if is_known
    http-request set-var(txn.bucket) var(txn.key),xxh32,mod(100)
    http-request set-var(txn.bucket) req.cook({cookie}),field(1,.) if is_ours
    http-request set-var-fmt(txn.new) %[var(txn.bucket)].%[uuid] if !is_known !is_file
    acl is_new var(txn.new) -m found
    http-response add-header Set-Cookie "{cookie}=%[var(txn.new)]; HttpOnly" if is_new !is_kept
    http-request set-var(txn.percent) str(.percent),map_str({folder}/split.map,0)
    http-request set-var(txn.colour) str({first})
    acl is_second var(txn.bucket),sub(txn.percent) -m int lt 0
    http-request set-var(txn.colour) str({second}) if is_second
    http-request set-var(txn.user) req.fhdr(X-User-ID),map_str({folder}/split.map)
    http-request set-var(txn.colour) var(txn.user) if {{ var(txn.user) -m str {first} {second} }}
{sessions}
    use_backend %[var(txn.colour)].new if {{ path_beg /socket.io/ }}
    use_backend %[var(txn.colour)]
"""


def configuration(folder: Path, port: int, colours: Mapping[str, Mapping[str, str]]) -> str:
    """The haproxy.cfg.

    Args:
        folder: where the map and the admin socket are.
        colours: colour -> instance -> address; the second colour gets the percentage.
    """
    first, second = colours
    sessions, backends = [], []
    for colour, other in ((first, second), (second, first)):
        own = colours[colour]
        # A session is known to one instance only, which its id names.
        for instance, address in own.items():
            sid = rf"[?&]sid={colour}\.{instance}(~|%7[Ee])"
            sessions.append(f"    use_backend {colour}.{instance} if {{ pathq -m reg {sid} }}")
            backends.append(f"backend {colour}.{instance}\n    server {instance} {address}")
        plain = [f"    server {instance} {address}" for instance, address in own.items()]
        backends.append("\n".join([f"backend {colour}", *plain]))
        backends.append(_new_sessions(colour, own, colours[other]))
    names = {"folder": folder, "port": port, "first": first, "second": second}
    site = _SITE.format(**names, cookie="mina_key", sessions="\n".join(sessions))
    return "\n".join([site, *backends, ""])


def _new_sessions(colour: str, own: Mapping[str, str], other: Mapping[str, str]) -> str:
    """Only who is refused because of an order to drain (504) is shown to the other colour.

    A rule chooses an instance of the colour. A retry is balanced, and only the other has a weight.
    """
    rules = [
        "    retry-on 504\n    retries 1",
        f"    http-request set-var(txn.instance) rand({len(own)})",
        *(
            f"    use-server {instance} if {{ var(txn.instance) -m int {number} }}"
            for number, instance in enumerate(own)
        ),
        *(f"    server {instance} {address} weight 0" for instance, address in own.items()),
        *(f"    server other.{instance} {address}" for instance, address in other.items()),
    ]
    return "\n".join([f"backend {colour}.new", *rules])


def entries(split: Mapping[str, Mapping[str, str]]) -> str:
    """The map's lines for a split: who by name, how many, and the split itself for `read`."""
    _, second = split["percent"]
    whole = json.dumps(split, separators=(",", ":"))
    users = [f"{user} {colour}" for user, colour in split["cohorts"].items()]
    return "\n".join([f".percent {split['percent'][second]}", f".split {whole}", *users, ""])


def _ask(folder: Path, line: str) -> str:
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(10)
        try:
            link.connect(str(folder / "admin.sock"))
        except OSError as error:
            sys.exit(f"the site's HAProxy does not answer ({error.strerror})")
        link.sendall(f"{line}\n".encode())
        data = b""
        while chunk := link.recv(65536):
            data += chunk
    return data.decode()


def _apply(folder: Path) -> None:
    """The running map in one step, and the file from which a restart reads it."""
    lines = entries(json.load(sys.stdin))
    file = folder / "split.map"
    version = _ask(folder, f"prepare map {file}").split()[-1]
    for command in (f"add map @{version} {file} <<\n{lines}", f"commit map @{version} {file}"):
        if refused := _ask(folder, command).strip():
            sys.exit(refused)
    new = folder / "split.map.new"
    new.write_text(lines)
    os.replace(new, file)


def _read(folder: Path) -> None:
    for line in _ask(folder, f"show map {folder}/split.map").splitlines():
        _, _, entry = line.partition(" ")
        if entry.startswith(".split "):
            print(entry.removeprefix(".split "))


if __name__ == "__main__":
    {"apply": _apply, "read": _read}[sys.argv[2]](Path(sys.argv[1]))
