"""The page's own files, and the headers under which a browser trusts nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_STATIC = Path(__file__).parent / "static"
_INDEX = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
"""Nothing inline, nothing from elsewhere, in no other page's frame."""

SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Asset:
    """One file: its bytes, its type, and an entity tag of its content."""

    body: bytes
    content_type: str
    tag: str

    @property
    def headers(self) -> dict[str, str]:
        """Kept by browsers, but asked for again each time, so a release shows at once."""
        return {
            **SECURITY_HEADERS,
            "Content-Type": self.content_type,
            "Cache-Control": "no-cache",
            "ETag": f'"{self.tag}"',
        }


@cache
def _all() -> Mapping[str, Asset]:
    """Every file by its path below the console; read once, so that no request touches the disk."""
    found = {}
    for path in sorted(_STATIC.iterdir()):
        if path.suffix not in _TYPES:
            continue
        body = path.read_bytes()
        asset = Asset(body, _TYPES[path.suffix], hashlib.sha256(body).hexdigest()[:20])
        found["" if path.name == _INDEX else f"static/{path.name}"] = asset
    return found


def find(path: str) -> Asset | None:
    """The file at a path below the console's own, such as `static/main.js`; "" is the page."""
    return _all().get(path)
