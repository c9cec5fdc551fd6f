"""Who may ask `mina-ops judge`, and where it listens."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from typing import Any

from mina_ops.operator.judge.reply import Reply, problem

TOKEN_VARIABLE = "MINA_OPS_JUDGE_TOKEN"  # noqa: S105 - the variable's name, not a token
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Access:
    """Where the server listens and who may ask; `token` None: anybody."""

    host: str
    port: int
    token: str | None = None

    @property
    def may_drain(self) -> bool:
        """Whether whoever gets in may order a drain: not where strangers get in."""
        return self.token is not None or self.host in LOOPBACK

    def refuses(self, headers: Message, body: Mapping[str, Any]) -> Reply | None:
        """The answer to who may not ask; None: they may.

        A browser asks nothing here unless somebody typed the address: else any page that an
        operator has open could order a drain on their machine's loopback.
        """
        if headers.get("Origin") or headers.get("Sec-Fetch-Site", "none") != "none":
            return problem(HTTPStatus.FORBIDDEN, "No page may ask this server.")
        if self.token is None or self._is_told(headers.get("Authorization", ""), body):
            return None
        told = f"Send the token of {TOKEN_VARIABLE} as a bearer token, or as metadata.token."
        return problem(HTTPStatus.UNAUTHORIZED, told, **{"WWW-Authenticate": "Bearer"})

    def _is_told(self, header: str, body: Mapping[str, Any]) -> bool:
        """Whether the token came along; Flagger sends no headers, but a webhook's metadata."""
        metadata = body.get("metadata")
        given = metadata.get("token") if isinstance(metadata, dict) else None
        if header.startswith("Bearer "):
            given = header.removeprefix("Bearer ")
        return isinstance(given, str) and hmac.compare_digest(
            _digest(given), _digest(str(self.token))
        )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
