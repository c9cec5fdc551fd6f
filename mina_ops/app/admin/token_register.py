"""Making, rotating and revoking tokens: each is one atomic step of the store."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from mina_ops.app.admin.model import Scope, Token
from mina_ops.app.admin.tokens import Tokens
from mina_ops.app.clock import Clock
from mina_ops.app.state import keys
from mina_ops.app.state.base import Change, Store
from mina_ops.errors import Conflict, NotFound

MOST_TOKENS = 200
_ENDED_SHOWN_SECONDS = 30 * 86_400.0
_ATTEMPTS = 20

Edit = Callable[[list[Token]], Iterable[Token]]


class TokenRegister:
    """The tokens that admins made. Every method may raise StateUnavailable; nothing is done then.

    Other processes know of a change within a beat, or at once when the token is first used there.
    """

    def __init__(self, store: Store, tokens: Tokens, clock: Clock) -> None:
        self._store = store
        self._tokens = tokens
        self._clock = clock

    def create(
        self, name: str, scopes: Iterable[Scope], *, expires_seconds: float | None, by: str
    ) -> tuple[Token, str]:
        """A new token, and its secret, which is kept nowhere.

        Raises:
            Conflict: a valid token has that name, or there are too many.
        """
        now = self._clock.now()
        made, secret = _new(name, frozenset(scopes), now, expires_seconds, by)

        def edit(present: list[Token]) -> list[Token]:
            if any(one.name == name and one.state(now) == "valid" for one in present):
                raise Conflict(f"There is a valid token {name}: rotate it, or take another name.")
            return [made]

        self._change(edit)
        return made, secret

    def rotate(self, token_id: str, *, overlap_seconds: float, by: str) -> tuple[Token, str]:
        """A token in the place of another, which holds for `overlap_seconds` more at the most.

        Raises:
            NotFound: no valid token has this id.
            Conflict: it stands in a setting.
        """
        now = self._clock.now()
        old = self._one(token_id)
        lifetime = None
        if old.expires_at is not None and old.created_at is not None:
            lifetime = old.expires_at - old.created_at
        made, secret = _new(old.name, old.scopes, now, lifetime, by)

        def edit(present: list[Token]) -> list[Token]:
            found = _valid(present, token_id, now)
            end = min(now + overlap_seconds, found.expires_at or float("inf"))
            return [replace(found, expires_at=end), made]

        self._change(edit)
        return made, secret

    def revoke(self, token_id: str) -> Token:
        """End a token at once.

        Raises:
            NotFound: no valid token has this id.
            Conflict: it stands in a setting.
        """
        now = self._clock.now()
        self._one(token_id)
        ended: list[Token] = []

        def edit(present: list[Token]) -> list[Token]:
            ended[:] = [replace(_valid(present, token_id, now), revoked_at=now)]
            return ended

        self._change(edit)
        return ended[0]

    def _one(self, token_id: str) -> Token:
        self._tokens.refresh(self._store.read_version(keys.TOKENS))
        found = _valid(self._tokens.all(), token_id, self._clock.now())
        if found.fixed:
            raise Conflict(
                f"{found.name} stands in the settings: put another digest there, or take it out."
            )
        return found

    def _change(self, edit: Edit) -> None:
        for _ in range(_ATTEMPTS):
            register = self._store.read_register(keys.TOKENS)
            # What this process knows, where the store lost it, goes back with the change.
            self._tokens.refresh((register.epoch, register.version))
            present = [one for one in self._tokens.all() if not one.fixed]
            target = _kept(present, self._clock.now()) | {one.id: one for one in edit(present)}
            if len(target) > MOST_TOKENS:
                raise Conflict(f"There would be more than {MOST_TOKENS} tokens: revoke some.")
            if self._write(register.entries, target):
                self._tokens.refresh(self._store.read_version(keys.TOKENS))
                return
        raise Conflict("Other changes came first, again and again. Try again.")

    def _write(self, held: Mapping[str, bytes], target: Mapping[str, Token]) -> bool:
        raws = {key: json.dumps(one.to_json()).encode() for key, one in target.items()}
        put = {key: raw for key, raw in raws.items() if held.get(key) != raw}
        remove = [key for key in held if key not in raws]
        expect = {key: held.get(key) for key in (*put, *remove)}
        change = Change(put=put, remove=remove, expect=expect)
        return self._store.change_register(keys.TOKENS, change) is not None


def _new(
    name: str, scopes: frozenset[Scope], now: float, lifetime: float | None, by: str
) -> tuple[Token, str]:
    secret = "mina_" + secrets.token_urlsafe(32)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    ends = None if lifetime is None else now + lifetime
    return Token(name, digest, scopes, created_at=now, created_by=by, expires_at=ends), secret


def _valid(present: Iterable[Token], token_id: str, now: float) -> Token:
    for one in present:
        if one.id == token_id and one.state(now) == "valid":
            return one
    raise NotFound(f"No valid token has the id {token_id}.")


def _kept(present: Iterable[Token], now: float) -> dict[str, Token]:
    """Without those that ended long ago."""
    ends = {one: one.ended_at() for one in present}
    return {
        one.id: one for one, end in ends.items() if end is None or now - end < _ENDED_SHOWN_SECONDS
    }
