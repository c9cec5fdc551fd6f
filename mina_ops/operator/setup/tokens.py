"""Makes a bearer token, and the digest by which the app knows it."""

from __future__ import annotations

import hashlib
import secrets


def new_token() -> tuple[str, str]:
    """A token of 256 random bits, and the SHA-256 hex digest that the app is given."""
    token = "mina_" + secrets.token_urlsafe(32)
    return token, hashlib.sha256(token.encode()).hexdigest()
