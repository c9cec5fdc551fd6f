"""`Flags`, the host's interface to feature flags: ask, declare, override, watch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from mina_ops.app.admin.auth import Author
from mina_ops.app.component import Component
from mina_ops.app.context import Context
from mina_ops.app.flags.cache import Cache
from mina_ops.app.flags.caller import Callers
from mina_ops.app.flags.confirm import Confirmations
from mina_ops.app.flags.editor import Editor
from mina_ops.app.flags.evaluate import Compiled, Decision, Place, Undecided, decide, undecided
from mina_ops.app.flags.events import FlagEvents, Listener
from mina_ops.app.flags.last_known import last_known_file
from mina_ops.app.flags.model import Json, checked
from mina_ops.app.flags.overrides import Overrides
from mina_ops.app.flags.repository import Repository
from mina_ops.app.flags.snapshot import Snapshot
from mina_ops.app.forks import call_in_children
from mina_ops.app.process import EVERY_KIND, Kind
from mina_ops.app.state import keys
from mina_ops.app.state.base import Subscription
from mina_ops.errors import InvalidRequest, StateUnavailable

_MOST_REMEMBERED = 200
_LOOK_UP_SECONDS = 1.0


class Flags(Component):
    """Feature flags of one app, answered from memory.

    Constructing it reads the store once, so that a process's first request sees the flags; that
    takes up to twice the store's timeout and never fails.
    """

    name = "flags"
    kinds = EVERY_KIND

    def __init__(self, context: Context) -> None:
        store, settings, identity = context.store, context.settings, context.identity
        self._store = store
        self._heartbeat = context.heartbeat
        self._presence = context.presence
        self._presence.watch(registers=[keys.FLAGS])
        self._hints: Subscription | None = None
        self._table: Mapping[str, Compiled] = {}
        self._declared: dict[str, str] = {}
        self._asked_in_vain: set[str] = set()
        self._overrides = Overrides(lambda: self._use(self.cache.snapshot))
        self.place = Place(identity.environment, identity.version)
        self.cache = Cache(
            store,
            self.place,
            file=last_known_file(settings),
            stale_seconds=settings.presence_ttl_seconds,
            on_change=self._use,
        )
        self._events = FlagEvents(self.cache)
        self.callers = Callers()
        self.editor = Editor(Repository(store, self.cache, context.audit), self.cache)
        self.confirmations = Confirmations(
            store, identity, self.cache, ttl_seconds=settings.presence_ttl_seconds
        )
        self.cache.refresh_within(settings.redis_timeout_seconds + _LOOK_UP_SECONDS)
        self._use(self.cache.snapshot)
        call_in_children(self._forget_parent)

    def is_enabled(self, key: str, unit: object = None, **attributes: Any) -> bool:
        """Whether a flag is on for a caller; from memory, without I/O.

        Args:
            key: the flag's key. One that does not exist is off, unless `declare` says otherwise.
            unit: who is asked for, such as a user's id. Without it a percentage below 100 is off.
            attributes: what the flag's rules look at.

        Raises:
            Undecided: only for a flag whose `on_unknown` is `error`, where nobody can tell.
        """
        compiled = self._table.get(key)
        if compiled is True or compiled is False:
            return compiled
        if compiled is None:
            return self._unknown(key)
        return compiled(unit, attributes)

    def value(self, key: str, default: Json, unit: object = None, **attributes: Any) -> Json:
        """The value of the caller's variant; `default` where the flag is off or has none."""
        decision = self.decision(key, unit, attributes)
        return default if decision is None or decision.variant is None else decision.value

    def decision(
        self, key: str, unit: object = None, attributes: Mapping[str, Any] | None = None
    ) -> Decision | None:
        """The full answer with variant and reason; None: no such flag. Raises as `is_enabled`."""
        self._start_beside_requests()
        forced = self._overrides.answer(key)
        if forced is not None:
            return Decision(forced, forced, None, "full" if forced else "disabled")
        snapshot, given = self.cache.snapshot, attributes or {}
        if key in snapshot.flags:
            return decide(snapshot.flags[key], self.place, unit, given)
        if key not in snapshot.table:
            return None
        compiled = snapshot.table[key]
        on = compiled if isinstance(compiled, bool) else compiled(unit, given)
        return Decision(on, on, None, "unknown")

    def evaluate(
        self, unit: object = None, attributes: Mapping[str, Any] | None = None
    ) -> dict[str, bool | None]:
        """Every flag's answer for a caller by key; None where it would raise."""
        self._start_beside_requests()
        return {
            key: _answer(compiled, unit, attributes or {})
            for key, compiled in sorted(self._table.items())
        }

    def declare(self, key: str, *, on_unknown: str) -> None:
        """Set the answer of a flag that does not exist (yet, or because the store was emptied).

        Args:
            on_unknown: `off`, `on` or `error`, which raises `Undecided`.

        Raises:
            ValueError: the key cannot name a flag, or `on_unknown` is none of these.
        """
        try:
            checked({"key": key, "on_unknown": on_unknown})
        except InvalidRequest as exc:
            raise ValueError(str(exc)) from exc
        self._declared[key] = on_unknown

    def override(self, **answers: bool) -> AbstractContextManager[None]:
        """For tests: within ``with flags.override(dark_mode=True):`` flags have these answers.

        Keys that are no Python names go in as ``override(**{"audio.replay": True})``.
        """
        return self._overrides.set(answers)

    def disable_for_release(self, release: str, *, actor: str = "code") -> list[str]:
        """Turn off all flags that a release brought, in one step; returns the keys that were on.

        Raises:
            StateUnavailable: the store is away; nothing was changed.
        """
        return sorted(self.editor.disable_for_release(release, Author(actor)).entries)

    def asked_in_vain(self) -> list[str]:
        """Keys that code of this process asked for and that did not exist; at most 200."""
        return sorted(key for key in list(self._asked_in_vain) if key not in self._table)

    def watch(self, listener: Listener) -> None:
        """Call `listener` from the heartbeat when flags change, become stale or are fresh again."""
        self._events.add(listener)

    def unwatch(self, listener: Listener) -> None:
        """Call it no more; idempotent."""
        self._events.remove(listener)

    def beat(self, now: float) -> None:
        """Refresh the flags if they changed, and write the file of last known ones."""
        try:
            self.cache.refresh(version=self._presence.version(keys.FLAGS))
            self.cache.keep()
        finally:
            self._events.beat()

    def at_start(self) -> None:
        """Listen for hints, so that a change arrives at once."""
        self.cache.renew_lock()
        if self._store.shared:  # else nobody but this process changes them
            self._hints = self._store.listen([keys.FLAGS_HINT], self._hinted)
        # What the constructor read may be old: a worker can be forked long after.
        self.cache.try_refresh()
        self._use(self.cache.snapshot)

    def report(self) -> Any:
        """The version that this process applied, for confirmed changes."""
        epoch, version = self.cache.applied
        return {"epoch": epoch, "version": version, "stale": self.cache.stale}

    def close(self) -> None:
        """Listen for hints no longer."""
        if self._hints is not None:
            self._hints.close()

    def _unknown(self, key: str) -> bool:
        if len(self._asked_in_vain) < _MOST_REMEMBERED:
            self._asked_in_vain.add(key)
        wish = self._declared.get(key)
        if wish is None:
            return False
        if wish == "error":
            raise Undecided(f"Flag {key!r} does not exist, and its code asks for an error then.")
        return undecided(wish).enabled

    def _hinted(self, _: str) -> None:
        try:
            refreshed = self.cache.refresh(hinted=True)
            if refreshed and self._heartbeat.process.kind is not Kind.COMMAND:
                self.confirmations.tell()
        except StateUnavailable:
            return  # the next beat does both

    def _use(self, snapshot: Snapshot) -> None:
        table = snapshot.table
        if self._overrides.layers:
            table = self._overrides.over(table)
        if not self._heartbeat.running:
            table = _NotStarted(table, self._started_table)
        self._table = table

    def _start_beside_requests(self) -> None:
        """Let a worker, a script or a forked child follow the flags from its first question on.

        A request starts the heartbeat itself and waits for nothing. Whoever asks outside of any
        waits once, for the store's timeout at most: what was read when its code was imported may
        be older than a kill.
        """
        if self._heartbeat.start_beside_requests():
            self.cache.try_refresh()
            self._use(self.cache.snapshot)

    def _started_table(self) -> Mapping[str, Compiled]:
        self._start_beside_requests()
        return self._table

    def _forget_parent(self) -> None:
        self._use(self.cache.snapshot)


class _NotStarted(dict[str, Compiled]):
    """The table of a process that nobody keeps up to date yet: the first look changes that.

    So asking a flag costs nothing more in a process where the heartbeat runs.
    """

    def __init__(
        self, table: Mapping[str, Compiled], start: Callable[[], Mapping[str, Compiled]]
    ) -> None:
        super().__init__(table)
        self._start = start

    def get(self, key: str, default: Any = None) -> Any:
        started = self._start()
        # Past this method, where it did not start: the app was closed.
        return super().get(key, default) if started is self else started.get(key, default)


def _answer(compiled: Compiled, unit: object, attributes: Mapping[str, Any]) -> bool | None:
    try:
        return compiled if isinstance(compiled, bool) else compiled(unit, attributes)
    except Undecided:
        return None
