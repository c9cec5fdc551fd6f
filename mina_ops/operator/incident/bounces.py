"""Reads which letters came back: from mail servers' delivery reports (RFC 3464), or from lists.

A report of a delay or of a success is none. Source: RFC 3464, 2.3; a permanent failure has the
action `failed`.
"""

from __future__ import annotations

import email.policy
import mailbox
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.utils import parseaddr
from pathlib import Path

from mina_ops.errors import ConfigurationError

_REPORT = "message/delivery-status"
_LONGEST_WORDS = 200


@dataclass(frozen=True)
class Bounce:
    """An address whose letter came back, and the mail server's own words."""

    address: str
    why: str


def read(path: Path) -> list[Bounce]:
    """The bounces in a mbox, a Maildir, a folder of messages, one message, or a list of addresses.

    Raises:
        ConfigurationError: it cannot be read, or holds neither.
    """
    try:
        if path.is_dir():
            found = [bounce for message in _folder(path) for bounce in _of(message)]
        else:
            found = _of_file(path)
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be read ({exc.strerror}).") from exc
    return list({bounce.address.lower(): bounce for bounce in found}.values())


def _folder(path: Path) -> Iterator[Message]:
    if (path / "new").is_dir() and (path / "cur").is_dir():
        yield from mailbox.Maildir(str(path), create=False)
        return
    for file in sorted(path.iterdir()):
        if file.is_file():
            yield _parsed(file.read_bytes())


def _of_file(path: Path) -> list[Bounce]:
    raw = path.read_bytes()
    if raw.startswith(b"From "):
        with closing(mailbox.mbox(str(path))) as box:
            return [bounce for message in box for bounce in _of(message)]
    lines = [line.strip() for line in raw.decode("utf-8-sig", "replace").splitlines()]
    listed = [line for line in lines if line and not line.startswith("#")]
    if all("@" in line and ":" not in line for line in listed):
        return [Bounce(parseaddr(line)[1] or line, "is in the list of bounces") for line in listed]
    message = _parsed(raw)
    if not message.keys():
        raise ConfigurationError(f"{path} is neither mail nor a list of addresses.")
    return _of(message)


def _parsed(raw: bytes) -> Message:
    return BytesParser(policy=email.policy.compat32).parsebytes(raw)


def _of(message: Message) -> list[Bounce]:
    """The recipients that a delivery report says were not reached for good."""
    found = []
    for part in message.walk():
        if part.get_content_type() != _REPORT:
            continue
        blocks = part.get_payload()
        for block in blocks if isinstance(blocks, list) else []:
            if not isinstance(block, Message):
                continue
            address = _address(block)
            if str(block.get("Action", "")).strip().lower() == "failed" and address:
                found.append(Bounce(address, _words(block)))
    return found


def _address(block: Message) -> str:
    """Whom we wrote to: the final recipient may be where that address was forwarded to."""
    stated = block.get("Original-Recipient") or block.get("Final-Recipient") or ""
    return str(stated).partition(";")[2].strip().strip("<>")


def _words(block: Message) -> str:
    said = str(block.get("Diagnostic-Code") or block.get("Status") or "no reason given")
    return f"came back: {' '.join(said.partition(';')[2].split() or said.split())}"[:_LONGEST_WORDS]
