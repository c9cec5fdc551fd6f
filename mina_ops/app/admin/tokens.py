"""The valid bearer tokens: those of settings, and those that admins made, from the store.

A request reads memory. The store is read on each beat, in the round trip that is made anyway. It is
also read when a request has a token that is unknown here, since that may have been made a second
ago; once a second at most, so a flood of wrong tokens costs Redis little.
"""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Mapping

from mina_ops.app.admin.model import Scope, Token, token_of
from mina_ops.app.clock import Clock
from mina_ops.app.settings import Settings
from mina_ops.app.state import keys
from mina_ops.app.state.base import Store
from mina_ops.errors import StateUnavailable

_log = logging.getLogger(__name__)

_LOOK_AGAIN_SECONDS = 1.0
_TELL_USE_SECONDS = 60.0
_USE_KEPT_SECONDS = 400 * 86_400.0


class Tokens:
    """What this process knows of tokens.

    Constructing it asks nobody: a store whose name hangs in DNS would hold up the host's start for
    half a minute. The first beat reads the store, and so does the first bearer of a token that is
    not known yet.
    """

    def __init__(self, settings: Settings, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._fixed = _of_settings(settings)
        self._stored: Mapping[str, Token] = {}
        self._version: tuple[str, int] | None = None
        self._looked_at = float("-inf")
        self._used: dict[str, float] = {}
        self._told: dict[str, float] = {}

    @property
    def known(self) -> bool:
        """Whether the store's tokens were ever read by this process."""
        return self._version is not None

    def all(self) -> list[Token]:
        """Those of settings first, then those that admins made, the newest first."""
        made = sorted(self._stored.values(), key=lambda one: -(one.created_at or 0))
        return [*self._fixed, *made]

    def find(self, digest: str) -> tuple[Token | None, str]:
        """The token of this digest, and whether it is `valid`, `expired`, `revoked` or `unknown`.

        Digests are compared in constant time. Of two that share one, a valid token comes first; it
        counts as used just now, which the beat tells the store.
        """
        found = [one for one in self.all() if hmac.compare_digest(one.digest, digest)]
        now, state = self._clock.now(), "unknown"
        for token in found:
            state = token.state(now)
            if state == "valid":
                self._used[token.id] = now
                return token, state
        return next(iter(found), None), state

    def of_session(self, prefix: str) -> Token | None:
        """The valid token whose digest begins with what we signed."""
        now = self._clock.now()
        valid = (one for one in self.all() if one.state(now) == "valid")
        return next((one for one in valid if prefix and one.digest.startswith(prefix)), None)

    def admit(self, name: str, digest: str) -> None:
        """Let the bearer of one more token do everything, in this process alone."""
        more = Token(name, digest, frozenset({Scope.ADMIN}), fixed=True)
        self._fixed = (*self._fixed, more)

    def look_again(self, digest: str) -> tuple[Token | None, str]:
        """`find` after a look at the store, as another process may have made the token just now.

        The store is read once a second at the most; never fails.
        """
        self._look()
        return self.find(digest)

    def _look(self) -> None:
        now = self._clock.monotonic()
        if now - self._looked_at < _LOOK_AGAIN_SECONDS:
            return
        self._looked_at = now
        try:
            self.refresh(self._store.read_version(keys.TOKENS))
        except StateUnavailable:
            return  # what is known stays

    def refresh(self, version: tuple[str, int] | None) -> None:
        """Follow the store.

        Args:
            version: epoch and version that were read just now; None: none was read.

        Raises:
            StateUnavailable: what is known stays.
        """
        if version is None or version == self._version:
            return
        if version[0]:
            register = self._store.read_register(keys.TOKENS)
            version = register.epoch, register.version
            if register.epoch:
                found = {key: _read(raw) for key, raw in register.entries.items()}
                self._stored = {key: one for key, one in found.items() if one}
        # Without an epoch Redis is empty, be it since its version was read a moment ago. Who holds
        # a token of ours is still who it was.
        if not version[0] and self._stored and self._version != version:
            _log.error("The store lost its tokens; this process goes on with those it knows")
        self._version = version

    def tell_use(self) -> None:
        """Tell the store who was used, each at most once a minute; raises StateUnavailable."""
        due = {
            name: at
            for name, at in list(self._used.items())
            if at - self._told.get(name, 0.0) >= _TELL_USE_SECONDS
        }
        if due:
            values: Mapping[str, bytes | None]
            values = {keys.token_use(name): f"{at:.0f}".encode() for name, at in due.items()}
            self._store.put_many(values, ttl_seconds=_USE_KEPT_SECONDS)
            self._told |= due

    def last_uses(self) -> dict[str, float]:
        """Token's id -> when it was last used, within a minute; raises StateUnavailable."""
        names = {keys.token_use(one.id): one.id for one in self.all()}
        found = {names[key]: float(raw) for key, raw in self._store.get_all(list(names)).items()}
        own = {one.id: self._used[one.id] for one in self.all() if one.id in self._used}
        return {name: max(found.get(name, 0.0), own.get(name, 0.0)) for name in found | own}


def _of_settings(settings: Settings) -> tuple[Token, ...]:
    by_scope = {
        Scope.ADMIN: settings.admin_tokens,
        Scope.READ: settings.read_tokens,
        Scope.DRAIN: settings.drain_tokens,
        Scope.FLAGS: settings.flags_tokens,
    }
    return tuple(
        Token(name, digest, frozenset({scope}), fixed=True)
        for scope, named in by_scope.items()
        for name, digest in named.items()
    )


def _read(raw: bytes) -> Token | None:
    try:
        return token_of(json.loads(raw))
    except (ValueError, KeyError, TypeError):
        _log.warning("An entry of the tokens in the store cannot be read; it is left out")
        return None
