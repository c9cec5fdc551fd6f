"""Suspicious patterns in access and audit logs, summarised by address. Bounded memory.

It points at what a person should look at; a pattern is no proof, and its absence is none either.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from mina_ops.operator.logs.formats import Access
from mina_ops.operator.logs.lines import Reading
from mina_ops.operator.logs.lines import audit as audit_entry
from mina_ops.operator.logs.report import Review, Suspicion, printable

# More than a person who forgot a password tries; fewer than any dictionary.
DENIED = 10
NOT_FOUND = 20
NUMBERED = 30
LARGE_BYTES = 100_000_000
GAP = timedelta(minutes=15)
_MOST_PER_ADDRESS = 2000
_MOST_ADDRESSES = 50_000
_ATTACKS: Mapping[str, re.Pattern[str]] = {
    "path traversal": re.compile(r"\.\./|\.\.\\|/etc/passwd|/proc/self", re.I),
    "SQL injection": re.compile(
        r"union\s+(all\s+)?select|or\s+1=1|sleep\(\d|pg_sleep|information_schema|';--", re.I
    ),
    "script injection": re.compile(r"<script|javascript:|onerror\s*=", re.I),
    "template or lookup injection": re.compile(r"\{\{.*\}\}|\$\{jndi:", re.I),
    "secrets and foreign software": re.compile(
        r"/\.env|/\.git/|/\.aws|wp-login|wp-admin|phpmyadmin|/actuator|\.php(\?|$)|/cgi-bin/", re.I
    ),
    "command injection": re.compile(r"[;|`]\s*(cat|wget|curl|bash|nc|id)\b|\$\(", re.I),
}
_SCANNERS = re.compile(
    r"sqlmap|nikto|nmap|masscan|nuclei|dirbuster|gobuster|hydra|wpscan|zgrab", re.I
)
_LOGIN = re.compile(r"/(login|signin|auth|token)(/|\?|$)", re.I)
_ODD_METHODS = frozenset({"TRACE", "TRACK", "CONNECT", "PROPFIND", "DEBUG"})


@dataclass
class _Seen:
    """What one address did under one pattern."""

    count: int = 0
    first: datetime | None = None
    last: datetime | None = None
    examples: dict[str, None] = field(default_factory=dict)

    def add(self, access: Access, example: str) -> None:
        self.count += 1
        self.first = min(self.first or access.at, access.at)
        self.last = max(self.last or access.at, access.at)
        if len(self.examples) < 3:
            self.examples[example[:160]] = None


@dataclass
class _Address:
    """What one address did."""

    seen: dict[str, _Seen] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    numbers: dict[str, set[str]] = field(default_factory=dict)
    failed_logins: int = 0
    bytes: int = 0

    def note(self, pattern: str, access: Access, example: str = "") -> None:
        text = example or f"{access.method} {access.path} {access.status}"
        self.seen.setdefault(pattern, _Seen()).add(access, text)


def review(
    requests: Iterable[Access | None],
    audit: Iterable[Mapping[str, Any]],
    since: datetime,
    until: datetime,
) -> Review:
    """The review of requests (None: an unreadable line) and audit entries of a time."""
    addresses: dict[str, _Address] = {}
    times: list[datetime] = []
    admin: dict[str, None] = {}
    number = unreadable = 0
    for access in requests:
        if access is None:
            unreadable += 1
            continue
        if not since <= access.at <= until:
            continue
        number += 1
        _note_time(times, access.at)
        if access.address not in addresses and len(addresses) >= _MOST_ADDRESSES:
            continue
        _take(addresses.setdefault(access.address, _Address()), access)
        if access.path.startswith("/admin") and access.method not in ("GET", "HEAD", "OPTIONS"):
            line = f"{access.address} {access.method} {access.path} {access.status}"
            if len(admin) < 200:
                admin[f"{access.at:%Y-%m-%d %H:%M:%S} {printable(line)}"] = None
    actors = Counter(printable(str(entry.get("actor", "?"))[:100]) for entry in audit)
    return Review(
        since=_iso(since),
        requests=number,
        addresses=len(addresses),
        unreadable=unreadable,
        suspicions=tuple(_suspicions(addresses)),
        admin_actions=tuple(admin),
        audit=dict(actors.most_common(20)),
        gaps=tuple(_gaps(times)),
    )


def of_files(
    reading: Reading,
    logs: Sequence[Path],
    audited: Sequence[Path],
    since: datetime,
    until: datetime,
) -> Review:
    """The review of files; what `reading` could not read is named in it."""
    entries = (
        entry for path in audited for text in reading.lines(path)
        if (entry := audit_entry(text)) is not None
    )  # fmt: skip
    found = review(reading.requests(logs), entries, since, until)
    return replace(
        found,
        unreadable=reading.unreadable,
        connections=reading.connections,
        damaged=tuple(reading.damaged),
    )


def _take(address: _Address, access: Access) -> None:
    path = unquote(access.path.replace("+", " "))
    for name, pattern in _ATTACKS.items():
        if pattern.search(path):
            address.note(name, access)
    if _SCANNERS.search(access.agent):
        address.note("scanner", access, access.agent)
    if access.method in _ODD_METHODS or not access.method:
        address.note("odd request", access)
    if access.status in (401, 403, 429):
        address.note("access denied", access)
    if access.status == 404 and len(address.missing) < _MOST_PER_ADDRESS:
        address.missing.add(access.path)
        address.note("paths that do not exist", access)
    address.bytes += access.bytes
    _take_login(address, access)
    _take_numbers(address, access)


def _take_login(address: _Address, access: Access) -> None:
    if access.method != "POST" or not _LOGIN.search(access.path):
        return
    if access.status in (400, 401, 403, 422, 429):
        address.failed_logins += 1
    elif access.status < 400 and address.failed_logins >= DENIED // 2:
        example = f"logged in at {access.path} after {address.failed_logins} failures"
        address.note("login after failures", access, example)
        address.failed_logins = 0


def _take_numbers(address: _Address, access: Access) -> None:
    shape, found = re.subn(r"/\d+(?=/|\?|$)", "/N", access.path)
    if not found or access.status >= 500 or len(address.numbers) > 100:
        return
    numbers = address.numbers.setdefault(shape.partition("?")[0], set())
    if len(numbers) < _MOST_PER_ADDRESS and access.path not in numbers:
        numbers.add(access.path)
        if len(numbers) == NUMBERED:
            address.note("numbers tried one by one", access, shape)


def _suspicions(addresses: Mapping[str, _Address]) -> list[Suspicion]:
    sizes = sorted(address.bytes for address in addresses.values())
    usual = sizes[len(sizes) // 2] if sizes else 0
    found = []
    for name, address in addresses.items():
        for pattern, seen in address.seen.items():
            if _is_enough(pattern, address, seen):
                found.append(_suspicion(pattern, name, seen))
        if address.bytes > max(LARGE_BYTES, 20 * usual):
            found.append(
                Suspicion("large download", printable(name), address.bytes, "", "", ("bytes",))
            )
    return sorted(found, key=lambda item: (-item.count, item.address, item.pattern))[:200]


def _is_enough(pattern: str, address: _Address, seen: _Seen) -> bool:
    if pattern == "paths that do not exist":
        return len(address.missing) >= NOT_FOUND
    return seen.count >= {"access denied": DENIED, "odd request": 3}.get(pattern, 1)


def _suspicion(pattern: str, address: str, seen: _Seen) -> Suspicion:
    first, last = seen.first, seen.last
    return Suspicion(
        pattern,
        printable(address),
        seen.count,
        _iso(first) if first else "",
        _iso(last) if last else "",
        tuple(printable(example) for example in seen.examples),
    )


def _note_time(times: list[datetime], at: datetime) -> None:
    """Keep the ends of every stretch without a gap; lines of several files may be out of order."""
    if times and abs(at - times[-1]) < timedelta(seconds=30):
        return
    times.append(at)


def _gaps(times: list[datetime]) -> list[str]:
    ordered = sorted(times)
    pairs = list(pairwise(ordered))
    # A quiet site has long gaps every night; only a busy log's silence is news.
    if len(pairs) < 100:
        return []
    return [f"from {_iso(a)} to {_iso(b)}" for a, b in pairs if b - a > GAP][:20]


def _iso(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
