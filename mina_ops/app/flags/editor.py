"""What an admin can do with flags: each act is one atomic change, recorded and undoable."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from mina_ops.app.admin.audit import Audit
from mina_ops.app.flags import limits
from mina_ops.app.flags.cache import Cache
from mina_ops.app.flags.model import Flag, from_bytes, from_json, new_flag
from mina_ops.app.flags.repository import Author, Changed, Changes, Entries, Record, Repository
from mina_ops.errors import Conflict, InvalidRequest, NotFound, PreconditionFailed

MOST_IMPORTED = 2_000


@dataclass(frozen=True, slots=True)
class Edited:
    """A flag after a change (None: deleted), whether it is new, and what was changed."""

    flag: Flag | None
    created: bool
    changed: Changed


class Editor:
    """Changes flags, records who did, and reads them back.

    Every change may raise `StateUnavailable` or `Conflict`; nothing was stored then.
    """

    def __init__(self, repository: Repository, cache: Cache, audit: Audit) -> None:
        self._repository = repository
        self._cache = cache
        self._audit = audit

    def flags(self) -> list[Flag]:
        """All flags by key, as this process knows them."""
        return [flag for _, flag in sorted(self._cache.snapshot.flags.items())]

    def flag(self, key: str) -> tuple[Flag, str]:
        """A flag and its revision; raises NotFound."""
        limits.check_key(key)
        snapshot = self._cache.snapshot
        if key not in snapshot.flags:
            raise NotFound(f"No flag {key!r}.")
        return snapshot.flags[key], revision(snapshot.known.entries[key])

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
        name = new_flag(key).key
        result = new_flag(name)

        def edit(entries: Entries) -> Changes:
            nonlocal result
            raw = entries.get(name)
            _refuse_other_revision(raw, expect)
            result = (new_flag(name) if raw is None else _readable(name, raw)).changed(values)
            return {name: result.to_bytes()}

        changed = self._change(edit, author, "flag.set")
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

        return Edited(None, False, self._change(edit, author, "flag.delete"))

    def disable_for_release(self, release: str, author: Author) -> Changed:
        """Turn off every flag that a release brought, in one step; other fields stay.

        The returned entries name the flags that were on.
        """

        def edit(entries: Entries) -> Changes:
            changes: dict[str, bytes | None] = {}
            for key, raw in entries.items():
                flag = self._known(key, raw)
                if flag is not None and flag.enabled and flag.release == release:
                    changes[key] = replace(flag, enabled=False).to_bytes()
            return changes

        return self._change(edit, author, "flag.disable_for_release", note=release)

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
                if entries.get(name) != after:
                    raise Conflict(f"Flag {name!r} was changed since; undo that change first.")
            return {name: before for name, (before, _) in pairs.items()}

        return self._change(edit, author, "flag.undo", undoes=record.id)

    def load(self, flags: Sequence[Any], author: Author) -> Changed:
        """Make flags exactly what an export holds, all in one step; others stay.

        Raises:
            InvalidRequest: one of them is wrong (then none is stored), or there are too many.
        """
        if len(flags) > MOST_IMPORTED:
            raise InvalidRequest(f"Import at most {MOST_IMPORTED} flags at once.", field="flags")
        wanted: dict[str, bytes | None] = {}
        for raw in flags:
            if not isinstance(raw, Mapping):
                raise InvalidRequest("Field 'flags' must hold objects.", field="flags")
            flag = from_json(raw)
            if flag.key in wanted:
                raise InvalidRequest(f"Flag {flag.key!r} is named twice.", field="key")
            wanted[flag.key] = flag.to_bytes()
        return self._change(lambda _: wanted, author, "flag.import")

    def recover(self, author: Author, *, restore: bool) -> Changed:
        """Settle a loss: write back what this process knows, or accept what the store holds.

        Does nothing where nothing was lost.
        """
        if not restore:
            return self._repository.accept_loss(author)
        return self._change(lambda _: {}, author, "flag.restore", note=self._cache.alert or "")

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

    def _known(self, key: str, raw: bytes) -> Flag | None:
        """A flag from its entry, read only if this process has not read it before."""
        snapshot = self._cache.snapshot
        if snapshot.known.entries.get(key) == raw:
            return snapshot.flags.get(key)
        try:
            return from_bytes(raw)
        except (ValueError, InvalidRequest):
            return None

    def _change(self, edit: Any, author: Author, action: str, **more: Any) -> Changed:
        changed = self._repository.change(edit, author, action, **more)
        if changed.entries:
            names = sorted(changed.entries)
            self._audit.record(
                actor=author.actor,
                action=action,
                subject=names[0] if len(names) == 1 else f"{len(names)} flags",
                before={name: shown(changed.entries[name][0]) for name in names},
                after={name: shown(changed.entries[name][1]) for name in names},
                address=author.address,
                correlation_id=author.correlation_id,
            )
        return changed


def revision(raw: bytes) -> str:
    """What names this state of a flag; equal states have equal revisions."""
    return hashlib.sha256(raw).hexdigest()[:16]


def shown(raw: bytes | None) -> Any:
    """A stored entry as JSON values for people: the fields that are set; None if absent."""
    try:
        return None if raw is None else from_bytes(raw).to_json(full=False)
    except (ValueError, InvalidRequest):
        return {"unreadable": raw.decode(errors="replace")}  # type: ignore[union-attr]


def _readable(key: str, raw: bytes) -> Flag:
    try:
        return from_bytes(raw)
    except (ValueError, InvalidRequest) as exc:
        raise Conflict(
            f"A later release wrote flag {key!r} and this one cannot read it. Change it there, "
            "or delete or import it here."
        ) from exc


def _refuse_other_revision(raw: bytes | None, expect: Set[str] | None) -> None:
    if expect is None or (raw is not None and expect & {"*", revision(raw)}):
        return
    raise PreconditionFailed("The flag is not what If-Match says. Read it again, then retry.")
