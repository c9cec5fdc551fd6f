"""The objects of a cluster: versions, generations, and a log that watches follow."""

from __future__ import annotations

import copy
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.kubernetes.ownership import Owners

Json = dict[str, Any]
Key = tuple[str, str, str]
"""Collection such as "gateway.networking.k8s.io/v1/httproutes", namespace ("" for none), name."""


class OutOfDate(Exception):
    """A write names another version than the object has."""


@dataclass(frozen=True)
class Event:
    """A change: ADDED, MODIFIED or DELETED, with the object as it was then."""

    version: int
    kind: str
    key: Key
    value: Json


@dataclass
class Objects:
    """All objects, safe to share between threads.

    `ahead` seconds is how far this server's clock is from the machine's.
    """

    ahead: float = 0.0
    _version: int = 0
    _values: dict[Key, Json] = field(default_factory=dict)
    _owners: dict[Key, Owners] = field(default_factory=dict)
    _events: list[Event] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _closed: bool = False

    def now(self) -> float:
        return time.time() + self.ahead

    def get(self, key: Key) -> Json | None:
        with self._changed:
            return copy.deepcopy(self._values.get(key))

    def listed(self, collection: str, namespace: str) -> tuple[list[Json], int]:
        """What is in a collection ("" for all namespaces), and the version of that."""
        with self._changed:
            found = [
                copy.deepcopy(value)
                for key, value in self._values.items()
                if key[0] == collection and namespace in ("", key[1])
            ]
            return found, self._version

    def apply(self, key: Key, wanted: Json, manager: str, *, force: bool) -> tuple[Json, bool]:
        """Server-side apply; the object, and whether it is new. Raises Conflicts or OutOfDate."""
        with self._changed:
            current = self._values.get(key, {})
            self._require(wanted, current)
            owners = copy.deepcopy(self._owners.get(key, Owners()))
            merged = owners.apply(manager, current, wanted, self._stamp(), force)
            names = {"name": key[2], **({"namespace": key[1]} if key[1] else {})}
            merged["metadata"] = {**merged.get("metadata", {}), **names}
            merged |= {name: wanted[name] for name in ("apiVersion", "kind")}
            self._owners[key] = owners
            return self._store(key, current, merged), not current

    def write(self, key: Key, wanted: Json, manager: str) -> Json:
        """Make or replace an object. Raises OutOfDate."""
        with self._changed:
            current = self._values.get(key, {})
            self._require(wanted, current)
            owners = self._owners.setdefault(key, Owners())
            owners.update(manager, current, wanted, self._stamp())
            names = {"name": key[2], **({"namespace": key[1]} if key[1] else {})}
            value = {**copy.deepcopy(wanted), "metadata": {**wanted.get("metadata", {}), **names}}
            if "status" in current:
                value["status"] = current["status"]
            return self._store(key, current, value)

    def write_status(self, key: Key, wanted: Json) -> Json:
        """Replace the status alone. Raises OutOfDate, or KeyError where there is no object."""
        with self._changed:
            current = self._values[key]
            self._require(wanted, current)
            return self._store(key, current, {**current, "status": wanted.get("status", {})})

    def delete(self, key: Key) -> Json | None:
        with self._changed:
            value = self._values.pop(key, None)
            self._owners.pop(key, None)
            if value is not None:
                self._log("DELETED", key, value)
            return value

    def events(self, collection: str, namespace: str, since: int, until: float) -> Iterator[Event]:
        """Changes after a version, as they happen, until a monotonic time or the end."""
        seen = 0
        while True:
            with self._changed:
                while seen == len(self._events) and not self._closed:
                    if not self._changed.wait(max(0.0, until - time.monotonic())):
                        return
                new, seen = self._events[seen:], len(self._events)
                if self._closed:
                    return
            for event in new:
                is_meant = event.key[0] == collection and namespace in ("", event.key[1])
                if is_meant and event.version > since:
                    yield event

    def close(self) -> None:
        """End every watch."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _require(self, wanted: Json, current: Json) -> None:
        version = wanted.get("metadata", {}).get("resourceVersion")
        if version and version != current.get("metadata", {}).get("resourceVersion"):
            raise OutOfDate

    def _store(self, key: Key, current: Json, value: Json) -> Json:
        old = current.get("metadata", {})
        meta = value["metadata"] = dict(value["metadata"])
        meta["uid"] = old.get("uid") or str(uuid.uuid4())
        meta["creationTimestamp"] = old.get("creationTimestamp") or self._stamp()
        is_new_spec = value.get("spec") != current.get("spec")
        meta["generation"] = old.get("generation", 0) + (1 if is_new_spec or not current else 0)
        version = value.get("apiVersion", "v1")
        meta["managedFields"] = self._owners.setdefault(key, Owners()).to_json(version)
        meta["resourceVersion"] = old.get("resourceVersion", "")
        if value != current:
            self._values[key] = value
            self._log("MODIFIED" if current else "ADDED", key, value)
        return copy.deepcopy(value)

    def _log(self, kind: str, key: Key, value: Json) -> None:
        self._version += 1
        value["metadata"]["resourceVersion"] = str(self._version)
        self._events.append(Event(self._version, kind, key, copy.deepcopy(value)))
        self._changed.notify_all()

    def _stamp(self) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.now()))
