"""Reads the recipients of a letter from lines or rows; a bad one is set aside, the rest goes on.

What holds no address is set aside with its line and the reason; everyone else is told.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from email.utils import parseaddr

from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.queries import rows, run

_LONGEST_ADDRESS = 254  # Source: RFC 5321, 4.5.3.1.3, with errata 1690
_LONGEST_LOCAL = 64
_HEADINGS = frozenset({"address", "email", "e-mail", "mail"})


@dataclass(frozen=True)
class Recipient:
    """Somebody to write to."""

    address: str
    name: str

    @property
    def digest(self) -> str:
        """What the journal keeps instead of the address."""
        return hashlib.sha256(self.address.lower().encode()).hexdigest()


@dataclass(frozen=True)
class Aside:
    """Somebody who cannot be written to: what stood there, and why not."""

    what: str
    why: str

    def __str__(self) -> str:
        shown = "".join(c if c.isprintable() else "?" for c in f"{self.what}: {self.why}")
        return shown[:300]


@dataclass
class People:
    """Who is written to, each once, and who cannot be."""

    recipients: list[Recipient] = field(default_factory=list)
    aside: list[Aside] = field(default_factory=list)
    _known: set[str] = field(default_factory=set, repr=False)

    def add(self, where: str, text: str, name: str) -> None:
        """Add somebody, or set them aside with the reason."""
        inner, address = parseaddr(text) if "<" in text else ("", text)
        address = address.strip()
        why = _wrong(address) if address else "has no address"
        if why is not None:
            self.aside.append(Aside(where, f"{address[:80]!r} {why}" if address else why))
            return
        recipient = Recipient(_in_ascii(address), " ".join((name or inner).split()) or "user")
        if recipient.digest not in self._known:
            self._known.add(recipient.digest)
            self.recipients.append(recipient)


def from_bytes(raw: bytes) -> People:
    """The people in a file, with or without a byte order mark; see `from_csv`."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return from_csv(raw.decode("utf-16", "replace"))
    return from_csv(raw.decode("utf-8-sig", "replace"))


def from_csv(text: str) -> People:
    """The people in lines `address`, `address,name` or `Name <address>`.

    Semicolons and tabs divide as commas do. Each line stands for itself, so that a quotation mark
    that is never closed swallows nobody.
    """
    people = People()
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), 1):
        if not line.strip():
            continue
        try:
            (row,) = csv.reader([line], delimiter=_delimiter(line), strict=True)
        except (csv.Error, ValueError):
            people.aside.append(Aside(f"line {number}", "its quotation marks do not match"))
            continue
        first = row[0].strip()
        if not people.recipients and not people.aside and first.lower() in _HEADINGS:
            continue
        people.add(f"line {number}", first, row[1] if len(row) > 1 else "")
    return people


def from_query(database: Database, query: str) -> People:
    """The people that a query gives, with the columns `address` and `name`."""
    with database.connect() as connection:
        if database.kind == "postgresql":
            # The query is the operator's own and names tables as the app does.
            run(connection, 'SET LOCAL search_path = pg_catalog, "$user", public')
        found = [(row.address, row.name) for row in rows(connection, query)]
    return from_rows(found)


def from_rows(found: Iterable[tuple[object, object]]) -> People:
    """The people in rows of address and name; either may be null."""
    people = People()
    for number, (address, name) in enumerate(found, 1):
        people.add(f"row {number}", str(address or "").strip(), str(name or ""))
    return people


def _delimiter(line: str) -> str:
    return next((delimiter for delimiter in ",;\t" if delimiter in line), ",")


def _wrong(address: str) -> str | None:
    """What is wrong with an address by RFC 5321 and 5322; None: nothing."""
    if any(not c.isprintable() or c == "\N{REPLACEMENT CHARACTER}" for c in address):
        return "holds a character that no address has"
    try:
        parsed = Address(addr_spec=_in_ascii(address))
    except (ValueError, MessageError, UnicodeError, IndexError, AttributeError):
        return "is no address"
    if not parsed.username or not parsed.domain:
        return "is no address"
    if not parsed.username.isascii():
        return "has a name that only mail servers with SMTPUTF8 take"
    too_long = len(address) > _LONGEST_ADDRESS or len(parsed.username) > _LONGEST_LOCAL
    return "is longer than addresses may be" if too_long else None


def _in_ascii(address: str) -> str:
    """The address with its domain as DNS has it: `jo@b\u00fccher.de` goes to xn--bcher-kva.de."""
    local, at, domain = address.rpartition("@")
    if domain.isascii():
        return address
    return f"{local}{at}{domain.encode('idna').decode()}"
