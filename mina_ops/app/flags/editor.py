"""What an admin can do with flags: each act is one atomic change, recorded and undoable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from mina_ops.app.admin.auth import Author
from mina_ops.app.flags import limits
from mina_ops.app.flags.cache import Cache
from mina_ops.app.flags.model import Flag, StoredFlag, checked, from_json, stored
from mina_ops.app.flags.repository import Changed, Changes, Entries, Record, Repository
from mina_ops.errors import Conflict, InvalidRequest, NotFound, PreconditionFailed

MOST_IMPORTED = 2_000


@dataclass(frozen=True, slots=True)
class Edited:
    """An entry after a change (None: deleted), whether it is new, and what was changed."""

    entry: StoredFlag | None
    created: bool
    changed: Changed


class Editor:
    """Changes flags, records who did, and reads them back.

    Every change may raise `StateUnavailable` or `Conflict`; nothing was stored then.
    """

    def __init__(self, repository: Repository, cache: Cache) -> None:
        self._repository = repository
        self._cache = cache

    def flags(self) -> list[Flag]:
        """All flags by key, as this process knows them."""
        return [flag for _, flag in sorted(self._cache.snapshot.flags.items())]

    def flag(self, key: str) -> tuple[Flag, str]:
        """A flag and its revision; raises NotFound."""
        limits.check_key(key)
        snapshot = self._cache.snapshot
        if key not in snapshot.flags:
            raise NotFound(f"No flag {key!r}.")
        return snapshot.flags[key], snapshot.entry(key, snapshot.known.entries[key]).revision

    def set(
        self,
        key: object,
        values: Mapping[str, Any],
        author: Author,
        *,
        expect: Set[str] | None = None,
    ) -> Edited:
        """Set some fields of a flag, the others stay; a new flag is off until told otherwise.

        Args:
            expect: revisions of which the flag must have one, or `{"*"}` for any that exists.

        Raises:
            InvalidRequest: the key or a value is wrong.
            PreconditionFailed: the flag is not what `expect` says.
        """
        wanted = checked({**values, "key": key})
        name: str = wanted["key"]
        result: StoredFlag | None = None

        def edit(entries: Entries) -> Changes:
            nonlocal result
            raw = entries.get(name)
            _refuse_other_revision(raw, expect)
            flag = Flag(name) if raw is None else self._readable(name, raw)
            result = stored(flag.having(wanted))
            return {name: result}

        changed = self._repository.change(edit, author, "flag.set")
        created = name in changed.entries and changed.entries[name][0] is None
        return Edited(result, created, changed)

    def delete(self, key: str, author: Author, *, expect: Set[str] | None = None) -> Edited:
        """Delete a flag, which is unknown then; raises NotFound, PreconditionFailed."""
        limits.check_key(key)

        def edit(entries: Entries) -> Changes:
            if key not in entries:
                raise NotFound(f"No flag {key!r}.")
            _refuse_other_revision(entries[key], expect)
            return {key: None}

        return Edited(None, False, self._repository.change(edit, author, "flag.delete"))

    def disable_for_release(self, release: str, author: Author) -> Changed:
        """Turn off every flag that a release brought, in one step; other fields stay.

        The returned entries name the flags that were on.
        """

        def edit(entries: Entries) -> Changes:
            held = {key: self._cache.snapshot.entry(key, raw) for key, raw in entries.items()}
            return {
                key: stored(replace(flag, enabled=False))
                for key, entry in held.items()
                if (flag := entry.flag) is not None and flag.enabled and flag.release == release
            }

        return self._repository.change(edit, author, "flag.disable_for_release", note=release)

    def undo(self, author: Author, *, key: str | None = None, change: str | None = None) -> Changed:
        """Put back the exact state before a change.

        Args:
            key: one flag. Without `change`: its last change that is not undone yet.
            change: the id of a change, see `history`; without a key all flags that it changed.

        Raises:
            NotFound: there is no such change in the log.
            Conflict: a flag is no longer as that change left it.
        """
        record = self._undoable(key, change)
        pairs = {k: v for k, v in record.entries.items() if key is None or k == key}

        def edit(entries: Entries) -> Changes:
            for name, (_, after) in pairs.items():
                if entries.get(name) != (None if after is None else after.raw):
                    raise Conflict(f"Flag {name!r} was changed since; undo that change first.")
            return {name: before for name, (before, _) in pairs.items()}

        return self._repository.change(edit, author, "flag.undo", undoes=record.id)

    def load(self, flags: Sequence[Any], author: Author) -> Changed:
        """Make flags exactly what an export holds, all in one step; others stay.

        Raises:
            InvalidRequest: one of them is wrong (then none is stored), or there are too many.
        """
        if len(flags) > MOST_IMPORTED:
            raise InvalidRequest(f"Import at most {MOST_IMPORTED} flags at once.", field="flags")
        wanted: dict[str, StoredFlag | None] = {}
        for raw in flags:
            if not isinstance(raw, Mapping):
                raise InvalidRequest("Field 'flags' must hold objects.", field="flags")
            flag = from_json(raw)
            if flag.key in wanted:
                raise InvalidRequest(f"Flag {flag.key!r} is named twice.", field="key")
            wanted[flag.key] = stored(flag)
        return self._repository.change(lambda _: wanted, author, "flag.import")

    def recover(self, author: Author, *, restore: bool) -> Changed:
        """Settle a loss: write back what this process knows, or accept what the store holds.

        Does nothing where nothing was lost.
        """
        if not restore:
            return self._repository.accept_loss(author)
        note = self._cache.alert or ""
        return self._repository.change(lambda _: {}, author, "flag.restore", note=note)

    def history(self, key: str | None, *, count: int) -> list[Record]:
        """The newest changes of a flag, or of all; raises StateUnavailable."""
        if key is not None:
            limits.check_key(key)
        return list(islice(self._repository.history(key), count))

    def records(self) -> Iterator[Record]:
        """All changes, the newest first, read as they are asked for; raises StateUnavailable."""
        return self._repository.history()

    def changed_at(self) -> dict[str, float]:
        """When each flag was changed last (Unix time), as far back as the log reaches."""
        times: dict[str, float] = {}
        for record in self._repository.history():
            for key in record.entries:
                times.setdefault(key, record.at)
        return times

    def _undoable(self, key: str | None, change: str | None) -> Record:
        undone: set[str] = set()
        for record in self._repository.history(None if key is None else limits.check_key(key)):
            if change is not None:
                if record.id == change:
                    return record
            elif record.undoes is not None:
                undone.add(record.undoes)
            elif record.id not in undone:
                return record
        what = "to undo" if change is None else f"{change[:40]!r}"
        raise NotFound(f"The log holds no change {what}{f' of flag {key!r}' if key else ''}.")

    def _readable(self, key: str, raw: bytes) -> Flag:
        flag = self._cache.snapshot.entry(key, raw).flag
        if flag is None:
            raise Conflict(
                f"A later release wrote flag {key!r} and this one cannot read it. Change it there, "
                "or delete or import it here."
            )
        return flag


def _refuse_other_revision(raw: bytes | None, expect: Set[str] | None) -> None:
    if expect is None or (raw is not None and expect & {"*", StoredFlag(raw).revision}):
        return
    raise PreconditionFailed("The flag is not what If-Match says. Read it again, then retry.")
