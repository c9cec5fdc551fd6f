"""How secrets are written in the app's environment."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

# Ends the name of an old token, which is valid until the rotation ends.
OLD = ".old"


def tokens(text: str) -> list[tuple[str, str]]:
    """Names and digests of `name:digest,...`, without those that go."""
    pairs = [part.strip().rpartition(":") for part in text.split(",") if part.strip()]
    return [(name, digest) for name, _, digest in pairs if not name.endswith(OLD)]


def names_by_digest(text: str) -> dict[str, str]:
    """Digest -> name of `name:digest,...`, without those that go."""
    return {found: name for name, found in tokens(text)}


def with_digests(tokens_by_name: Mapping[str, str]) -> str:
    """`name:digest,...` of tokens by name."""
    return ",".join(f"{name}:{digest(token)}" for name, token in tokens_by_name.items())


def digest(token: str) -> str:
    """What the app knows of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def joined(*keys: str | None) -> str | None:
    """The keys with commas; None if there is none."""
    return ",".join(key for key in keys if key) or None


def with_login(url: str, user: str, password: str) -> str:
    """The URL as it was written, scheme and all, with another login."""
    scheme, _, rest = url.partition("://")
    authority, slash, tail = rest.partition("/")
    return f"{scheme}://{user}:{password}@{authority.rpartition('@')[2]}{slash}{tail}"
