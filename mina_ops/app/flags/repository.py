"""Changes to flags: each is one atomic step of the store, with its record and its hint."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mina_ops.app.admin.audit import Audit
from mina_ops.app.admin.auth import Author
from mina_ops.app.flags.cache import Cache
from mina_ops.app.flags.continuity import ORIGIN, Known, origins, reconcile
from mina_ops.app.flags.model import Pair, StoredFlag, before_and_after
from mina_ops.app.state import keys
from mina_ops.app.state.base import Change, Register, Store
from mina_ops.errors import Conflict

Entries = Mapping[str, bytes]
Changes = Mapping[str, StoredFlag | None]
Edit = Callable[[Entries], Changes]

MOST_FLAGS = 20_000

_ATTEMPTS = 200
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change did: the version it made, and each key's entry before and after."""

    epoch: str
    version: int
    entries: Mapping[str, Pair] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """A change as the log keeps it. `undoes` is the id of the one whose effect it took back."""

    id: str
    version: int
    at: float
    author: Author
    action: str
    entries: Mapping[str, Pair]
    undoes: str | None = None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """The change as the endpoints show it, with each flag before and after."""
        before, after = before_and_after(self.entries)
        return {
            "id": self.id,
            "flags_version": self.version,
            "at": self.at,
            **asdict(self.author),
            "action": self.action,
            "note": self.note or None,
            "undoes": self.undoes,
            "before": before,
            "after": after,
        }


class Repository:
    """Writes flags to the store and audits that; this process's snapshot follows at once."""

    def __init__(self, store: Store, cache: Cache, audit: Audit) -> None:
        # Of its own: a host that seeded the module's generator gets the numbers that it expects.
        self._random = random.Random()  # noqa: S311 - no secret
        self._store = store
        self._cache = cache
        self._audit = audit

    def change(
        self, edit: Edit, author: Author, action: str, *, note: str = "", undoes: str | None = None
    ) -> Changed:
        """Apply an edit; atomic, and tried again when another writer was faster.

        Where the store lost what this process knows, the same step writes that back.

        Args:
            edit: gets the present entries, returns those to write (None: to remove). It may be
                called several times and raises what it likes; nothing is written then.

        Raises:
            StateUnavailable: nothing was written, or (rarely) the answer was lost on its way.
            Conflict: there are too many flags, or other writers were faster too many times.
        """
        for attempt in range(_ATTEMPTS):
            register = self._store.read_register(keys.FLAGS)
            known = reconcile(self._cache.snapshot.known, register)
            pairs = self._pairs(known, edit(known.entries))
            _refuse_too_many(known, pairs)
            if not pairs and known.loss is None:
                return Changed(register.epoch, register.version)
            record = _record(author, action, pairs, note, undoes)
            change = _change(register, known, pairs, record)
            done = self._store.change_register(keys.FLAGS, change)
            if done is not None:
                self._cache.follow(register, change, done, pairs)
                self._to_audit(author, action, pairs)
                return Changed(done.epoch, done.version, pairs)
            time.sleep(self._random.uniform(0, 0.002) * min(attempt, 10))
        raise Conflict("Other changes came first, again and again. Try again.")

    def accept_loss(self, author: Author) -> Changed:
        """Forget what the store lost: every process follows what it holds now; atomic."""
        register = self._store.read_register(keys.FLAGS)
        known = reconcile(self._cache.snapshot.known, register)
        if known.loss is None:
            return Changed(register.epoch, register.version)
        change = Change(
            put={ORIGIN: origins(known, register)},
            expect={ORIGIN: register.entries.get(ORIGIN)},
            log=keys.FLAGS_LOG,
            record=_record(author, "flag.discard", {}, known.loss, None),
            hint=keys.FLAGS_HINT,
            new_epoch=True,
        )
        done = self._store.change_register(keys.FLAGS, change)
        if done is None:
            raise Conflict("Somebody else recovered the flags just now. Look again.")
        self._cache.try_refresh()
        return Changed(done.epoch, done.version)

    def history(self, key: str | None = None) -> Iterator[Record]:
        """Changes of a flag, or of all, the newest first; read page by page as they are asked for.

        Raises:
            StateUnavailable: the log cannot be read.
        """
        before: str | None = None
        while True:
            page = self._store.records(keys.FLAGS_LOG, count=_PAGE, before=before)
            for record_id, fields in page:
                if key is None or f'"{key}":' in fields.get("entries", ""):
                    record = _read(record_id, fields)
                    if key is None or key in record.entries:
                        yield record
            if len(page) < _PAGE:
                return
            before = page[-1][0]

    def _pairs(self, known: Known, changes: Changes) -> dict[str, Pair]:
        """Each entry that really changes, before and after."""
        found: dict[str, Pair] = {}
        for key, after in changes.items():
            held = known.entries.get(key)
            if held != _raw(after):
                before = None if held is None else self._cache.snapshot.entry(key, held)
                found[key] = (before, after)
        return found

    def _to_audit(self, author: Author, action: str, pairs: Mapping[str, Pair]) -> None:
        if not pairs:
            return
        before, after = before_and_after(pairs)
        self._audit.record(
            actor=author.actor,
            action=action,
            subject=next(iter(pairs)) if len(pairs) == 1 else f"{len(pairs)} flags",
            before=before,
            after=after,
            address=author.address,
            correlation_id=author.correlation_id,
        )


def _refuse_too_many(known: Known, pairs: Mapping[str, Pair]) -> None:
    added = sum(old is None and new is not None for old, new in pairs.values())
    if added and len(known.entries) + added > MOST_FLAGS:
        raise Conflict(f"There would be more than {MOST_FLAGS} flags. Delete some first.")


def _change(
    register: Register, known: Known, pairs: Mapping[str, Pair], record: Mapping[str, str]
) -> Change:
    """The step from what the store holds to what is known with the changes applied."""
    changes = {key: _raw(new) for key, (_, new) in pairs.items()}
    target = dict(changes)
    if known.loss is not None:
        target = {**dict.fromkeys(register.entries), **known.entries, **changes}
        target[ORIGIN] = origins(known, register)
    held = register.entries
    target = {key: value for key, value in target.items() if held.get(key) != value}
    return Change(
        put={key: value for key, value in target.items() if value is not None},
        remove=[key for key, value in target.items() if value is None],
        expect={key: held.get(key) for key in target},
        log=keys.FLAGS_LOG,
        record=record,
        hint=keys.FLAGS_HINT,
        new_epoch=known.loss is not None,
    )


def _record(
    author: Author, action: str, entries: Mapping[str, Pair], note: str, undoes: str | None
) -> dict[str, str]:
    texts = {key: [_text(old), _text(new)] for key, (old, new) in entries.items()}
    return {
        "at": f"{time.time():.3f}",
        "actor": author.actor,
        "address": author.address,
        "correlation_id": author.correlation_id,
        "action": action,
        "entries": json.dumps(texts, separators=(",", ":")),
        "note": note,
        "undoes": undoes or "",
    }


def _read(record_id: str, fields: Mapping[str, str]) -> Record:
    pairs = json.loads(fields["entries"])
    return Record(
        id=record_id,
        version=int(fields["version"]),
        at=float(fields["at"]),
        author=Author(fields["actor"], fields["address"], fields["correlation_id"]),
        action=fields["action"],
        entries={key: (_entry(old), _entry(new)) for key, (old, new) in pairs.items()},
        undoes=fields["undoes"] or None,
        note=fields["note"],
    )


def _raw(entry: StoredFlag | None) -> bytes | None:
    return None if entry is None else entry.raw


def _text(entry: StoredFlag | None) -> str | None:
    return None if entry is None else entry.raw.decode()


def _entry(text: str | None) -> StoredFlag | None:
    return None if text is None else StoredFlag(text.encode())
