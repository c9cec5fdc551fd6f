"""The bearer tokens that the app keeps: made, listed, rotated and revoked over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mina_ops.errors import OperatorError
from mina_ops.operator.api.client import AppClient

_PATH = "/admin/tokens"
Token = Mapping[str, Any]


class TokensClient:
    """The tokens of whichever colour answers; both share them. Every method needs an admin's."""

    def __init__(self, app: AppClient) -> None:
        self._app = app

    def all(self) -> list[Token]:
        """All of them, without their secrets."""
        found: list[Token] = self._app.admin("GET", _PATH)["tokens"]
        return found

    def create(self, name: str, scopes: Sequence[str], *, days: float | None) -> dict[str, Any]:
        """A new one: `token`, the secret, and `made`, all else; `days` None: it does not expire."""
        lasts = None if days is None else days * 86_400
        return self._app.admin(
            "POST", _PATH, {"name": name, "scopes": list(scopes), "expires_seconds": lasts}
        )

    def rotate(self, token_id: str, *, overlap_hours: float) -> dict[str, Any]:
        """One in the place of another, which holds for some hours beside it; as `create`."""
        body = {"overlap_seconds": overlap_hours * 3600}
        return self._app.admin("POST", f"{_PATH}/{token_id}/rotate", body)

    def revoke(self, token_id: str) -> Token:
        """End one at once."""
        return self._app.admin("DELETE", f"{_PATH}/{token_id}")

    def the_one(self, which: str) -> Token:
        """The valid token of an id, or of a name that only one of them has.

        Raises:
            OperatorError: there is none, or there are several; the message lists their ids.
        """
        valid = [one for one in self.all() if one["state"] == "valid"]
        found = [one for one in valid if which == one["id"]]
        found = found or [one for one in valid if which == one["name"]]
        if len(found) == 1:
            return found[0]
        if not found:
            raise OperatorError(f"No valid token {which!r}; see `mina-ops token list`.")
        ids = ", ".join(str(one["id"]) for one in found)
        raise OperatorError(f"{len(found)} valid tokens are called {which}; give an id: {ids}.")
