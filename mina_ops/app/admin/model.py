"""A bearer token: what it may do, and until when. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

_ID_DIGITS = 12


class Scope(StrEnum):
    """What a token is for."""

    ADMIN = "admin"
    """Everything, other tokens included."""
    READ = "read"
    """Every look, no change."""
    DRAIN = "drain"
    """`/admin/drain` alone: begin, watch, cancel."""
    FLAGS = "flags"
    """`/admin/flags` alone, with all below it, and OFREP."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token, without its secret. Times are Unix times of the shared clock; None: never.

    Attributes:
        name: what the audit log says of whoever bears it.
        digest: SHA-256 hex digest of the secret.
        fixed: it stands in a setting, so only the setting can end it.
    """

    name: str
    digest: str
    scopes: frozenset[Scope]
    created_at: float | None = None
    created_by: str = ""
    expires_at: float | None = None
    revoked_at: float | None = None
    fixed: bool = False

    @property
    def id(self) -> str:
        """Names it where its digest would be too much to show."""
        return self.digest[:_ID_DIGITS]

    @property
    def actor(self) -> str:
        """What the audit log calls whoever bears it."""
        return f"token:{self.name}"

    def state(self, now: float) -> str:
        """`valid`, `expired` or `revoked`."""
        if self.revoked_at is not None and self.revoked_at <= now:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "valid"

    def ended_at(self) -> float | None:
        """When it ends or ended, whichever way."""
        ends = [end for end in (self.expires_at, self.revoked_at) if end is not None]
        return min(ends, default=None)

    def may(self, part: Scope | None, *, writes: bool) -> bool:
        """Whether it may do this.

        Args:
            part: the scope that suffices for it beside `admin`; None: there is none.
            writes: whether something is changed.
        """
        if Scope.ADMIN in self.scopes or (part is not None and part in self.scopes):
            return True
        return Scope.READ in self.scopes and not writes

    def to_json(self) -> dict[str, Any]:
        """All its fields, as the store keeps them."""
        return {**asdict(self), "scopes": sorted(self.scopes)}

    def shown(self, now: float, last_used_at: float | None) -> dict[str, Any]:
        """What an admin sees of it; never the digest."""
        shown = self.to_json()
        del shown["digest"]
        return {"id": self.id, **shown, "state": self.state(now), "last_used_at": last_used_at}


def token_of(fields: Mapping[str, Any]) -> Token:
    """The token of `to_json`; raises ValueError, KeyError or TypeError for anything else."""
    known = {name: fields[name] for name in Token.__dataclass_fields__ if name in fields}
    return Token(**{**known, "scopes": frozenset(map(Scope, fields["scopes"]))})
