"""What a program prints, fit to be shown, kept and sent: bounded, clean, without known secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import IO
from urllib.parse import unquote, urlsplit

LONGEST_LINE = 2_000
"""Characters of a line that are kept; the rest is counted."""

_CHUNK = 65_536
_SHORTEST_SECRET = 6
_SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|API_?KEY|PRIVATE|CREDENTIAL", re.IGNORECASE
)
# Escape sequences of terminals (ECMA-48): CSI, OSC and the two-character ones.
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def lines(stream: IO[bytes]) -> Iterator[str]:
    """Each line at once; one of 300 MB takes no more memory than any other."""
    held, dropped = b"", 0
    read = getattr(stream, "read1", stream.read)
    while chunk := read(_CHUNK):
        *whole, rest = chunk.split(b"\n")
        for part in whole:
            yield clean(held + part[: LONGEST_LINE * 4], dropped + _over(part))
            held, dropped = b"", 0
        room = max(0, LONGEST_LINE * 4 - len(held))
        held, dropped = held + rest[:room], dropped + max(0, len(rest) - room)
    if held:
        yield clean(held, dropped)


def clean(raw: bytes, dropped: int = 0) -> str:
    """The text of a line, without control codes, and no longer than `LONGEST_LINE`."""
    text = _CONTROLS.sub("", _ESCAPES.sub("", raw.decode(errors="replace"))).rstrip()
    more = dropped + max(0, len(text) - LONGEST_LINE)
    return text[:LONGEST_LINE] + (f" ... and {more} more" if more else "")


def _over(part: bytes) -> int:
    return max(0, len(part) - LONGEST_LINE * 4)


class Mask:
    """Puts stars in the place of secrets: those of variables so named, and passwords in URLs."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        found = {value for name, value in environ.items() if _SECRET_NAME.search(name)}
        found |= {word for value in environ.values() for word in _passwords(value)}
        secrets = sorted((s for s in found if len(s) >= _SHORTEST_SECRET), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, secrets))) if secrets else None

    def __call__(self, text: str) -> str:
        return self._pattern.sub("***", text) if self._pattern else text


def _passwords(value: str) -> Iterator[str]:
    if "://" not in value or "@" not in value:
        return
    try:
        password = urlsplit(value).password
    except ValueError:
        return
    if password:
        yield from {password, unquote(password)}
