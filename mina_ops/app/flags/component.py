"""`Flags`: the feature as the extension wires it and as the host uses it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from flask import Blueprint
from flask.sansio.blueprints import BlueprintSetupState

from mina_ops.app.admin import Audit, Guard
from mina_ops.app.component import Part
from mina_ops.app.flags import limits
from mina_ops.app.flags.cache import Cache
from mina_ops.app.flags.caller import Callers
from mina_ops.app.flags.confirm import Confirmations
from mina_ops.app.flags.desk import Desk
from mina_ops.app.flags.evaluate import Compiled, Decision, Place, Undecided, decide, undecided
from mina_ops.app.flags.last_known import last_known_file
from mina_ops.app.flags.model import Json
from mina_ops.app.flags.news import Newsroom, Watcher
from mina_ops.app.flags.ofrep import ofrep_routes
from mina_ops.app.flags.overrides import Overrides
from mina_ops.app.flags.repository import Author, Repository
from mina_ops.app.flags.routes import routes
from mina_ops.app.flags.snapshot import Snapshot
from mina_ops.app.settings import Settings
from mina_ops.app.state import Store, keys
from mina_ops.errors import InvalidRequest, StateUnavailable

_MOST_REMEMBERED = 200


class Flags(Part):
    """Feature flags of one app, answered from memory.

    Constructing it reads the store once, so that a process's first request sees the flags; that
    takes up to twice the store's timeout and never fails.
    """

    name = "flags"

    def __init__(
        self,
        settings: Settings,
        store: Store,
        guard: Guard,
        audit: Audit,
    ) -> None:
        self._settings = settings
        self._store = store
        self._guard = guard
        self._table: Mapping[str, Compiled] = {}
        self._declared: dict[str, str] = {}
        self._asked_in_vain: set[str] = set()
        self._overrides = Overrides(lambda: self._follow(self.cache.snapshot))
        self.place = Place(settings.environment, settings.version)
        self.cache = Cache(
            store,
            self.place,
            file=last_known_file(settings),
            stale_seconds=settings.presence_ttl_seconds,
            on_change=self._follow,
        )
        self._newsroom = Newsroom(self.cache)
        self.callers = Callers()
        self.desk = Desk(Repository(store, self.cache), self.cache, audit)
        self.confirmations = Confirmations(store, settings, self.cache)
        self.cache.try_refresh()

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
        return {
            key: _answer(compiled, unit, attributes or {})
            for key, compiled in sorted(self._table.items())
        }

    def declare(self, key: str, *, on_unknown: str) -> None:
        """Say what a flag that does not exist (yet, or in an emptied store) answers.

        Args:
            on_unknown: `off`, `on` or `error`, which raises `Undecided`.

        Raises:
            ValueError: the key cannot name a flag, or `on_unknown` is none of these.
        """
        try:
            limits.check_key(key)
            limits.check("on_unknown", on_unknown)
        except InvalidRequest as exc:
            raise ValueError(str(exc)) from exc
        self._declared[key] = on_unknown

    def override(self, **answers: bool) -> AbstractContextManager[None]:
        """For tests: ``with flags.override(dark_mode=True):`` these flags answer so, everywhere.

        Keys that are no Python names go in as ``override(**{"audio.replay": True})``.
        """
        return self._overrides.set(answers)

    def disable_for_release(self, release: str, *, actor: str = "code") -> list[str]:
        """Turn off all that a release brought, in one step; the keys that were on.

        Raises:
            StateUnavailable: the store is away; nothing was changed.
        """
        return sorted(self.desk.disable_for_release(release, Author(actor)).entries)

    def asked_in_vain(self) -> list[str]:
        """Keys that code of this process asked for and that did not exist; at most 200."""
        return sorted(key for key in list(self._asked_in_vain) if key not in self._table)

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher` from the heartbeat when flags change, get stale or are fresh again."""
        self._newsroom.add(watcher)

    def unwatch(self, watcher: Watcher) -> None:
        """Call it no more; idempotent."""
        self._newsroom.remove(watcher)

    def beat(self, now: float) -> None:
        """Look whether the flags changed, and keep the last known ones."""
        try:
            self.cache.refresh()
            self.cache.keep()
        finally:
            self._newsroom.beat()

    def at_start(self) -> None:
        """Listen for hints, so that a change arrives at once."""
        self.cache.begin()
        self._store.listen([keys.FLAGS_HINT], self._hinted)
        # What the constructor read may be old: a worker can be forked long after.
        self.cache.try_refresh()

    def report(self) -> Any:
        """The version that this process applied, for confirmed changes."""
        epoch, version = self.cache.applied
        return {"epoch": epoch, "version": version, "stale": self.cache.stale}

    def blueprints(self) -> list[Blueprint]:
        """The flag endpoints, and `flag()` for templates."""
        blueprint = routes(self, self._guard, self._settings)
        blueprint.record_once(self._offer_to_templates)
        if not self._settings.ofrep:
            return [blueprint]
        return [blueprint, ofrep_routes(self, self._guard, self._settings)]

    def _offer_to_templates(self, state: BlueprintSetupState) -> None:
        state.app.jinja_env.globals.setdefault("flag", self._in_template)

    def _in_template(self, key: str, unit: object = None, **attributes: Any) -> bool:
        caller = self.callers.present()
        return self.is_enabled(
            key, caller.unit if unit is None else unit, **{**caller.attributes, **attributes}
        )

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
            if self.cache.refresh(hinted=True):
                self.confirmations.tell()
        except StateUnavailable:
            return  # the next beat does both

    def _follow(self, snapshot: Snapshot) -> None:
        self._table = self._overrides.over(snapshot.table)


def _answer(compiled: Compiled, unit: object, attributes: Mapping[str, Any]) -> bool | None:
    try:
        return compiled if isinstance(compiled, bool) else compiled(unit, attributes)
    except Undecided:
        return None
