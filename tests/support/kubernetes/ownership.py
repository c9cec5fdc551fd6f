"""Who owns which field of an object: server-side apply, as the API server does it.

Source: Kubernetes' documentation, "Server-Side Apply". Lists are atomic here, as all are that the
Gateway API's routes have on their first levels.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Path = tuple[str, ...]
Owner = tuple[str, str]
"""A manager's name and how it wrote: "Apply" or "Update"."""
_NOBODYS = {"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp"}


@dataclass
class Owners:
    """The owners of one object's fields, and when each wrote last."""

    fields: dict[Owner, set[Path]] = field(default_factory=dict)
    times: dict[Owner, str] = field(default_factory=dict)

    def apply(self, manager: str, current: Json, wanted: Json, now: str, force: bool) -> Json:
        """The object with the fields of `wanted`.

        Raises:
            Conflicts: others own some of them, and this is not forced.
        """
        me = (manager, "Apply")
        old, new = leaves(current), leaves(wanted)
        taken = {
            owner: {path for path in paths & new.keys() if old.get(path) != new[path]}
            for owner, paths in self.fields.items()
            if owner != me
        }
        if any(taken.values()) and not force:
            raise Conflicts({owner: paths for owner, paths in taken.items() if paths})
        for owner, paths in taken.items():
            self.fields[owner] -= paths
        others = {path for owner, paths in self.fields.items() if owner != me for path in paths}
        merged = copy.deepcopy(current)
        for path, value in new.items():
            _put(merged, path, value)
        for path in self.fields.get(me, set()) - new.keys() - others:
            _drop(merged, path)
        self._write(me, set(new), now)
        return merged

    def update(self, manager: str, current: Json, wanted: Json, now: str) -> None:
        """Note a write of the whole object: who changes a field owns it, and nobody else does."""
        old, new = leaves(current), leaves(wanted)
        changed = {path for path in new if old.get(path) != new[path]}
        gone = old.keys() - new.keys()
        for paths in self.fields.values():
            paths -= changed | gone
        if changed:
            me = (manager, "Update")
            self._write(me, self.fields.get(me, set()) | changed, now)

    def to_json(self, version: str) -> list[Json]:
        """As `metadata.managedFields` shows it."""
        return [
            {
                "manager": manager,
                "operation": operation,
                "apiVersion": version,
                "time": self.times[manager, operation],
                "fieldsType": "FieldsV1",
                "fieldsV1": _tree(paths),
            }
            for (manager, operation), paths in self.fields.items()
            if paths
        ]

    def _write(self, me: Owner, paths: set[Path], now: str) -> None:
        if self.fields.get(me) != paths or me not in self.times:
            self.times[me] = now
        self.fields[me] = paths


class Conflicts(Exception):
    """Others own fields that an apply would change."""

    def __init__(self, owned: dict[Owner, set[Path]]) -> None:
        self.owned = owned


def leaves(value: Json) -> dict[Path, Any]:
    """Path -> value of all that can be owned."""
    found: dict[Path, Any] = {}
    for name in value.keys() - {"apiVersion", "kind", "status", "metadata"}:
        _walk(value[name], (name,), found)
    for name, part in value.get("metadata", {}).items():
        if name not in _NOBODYS | {"managedFields"}:
            _walk(part, ("metadata", name), found)
    return found


def _walk(value: Any, path: Path, found: dict[Path, Any]) -> None:
    if isinstance(value, dict) and value:
        for name, part in value.items():
            _walk(part, (*path, name), found)
    else:
        found[path] = value


def _put(value: Json, path: Path, leaf: Any) -> None:
    for name in path[:-1]:
        value = value.setdefault(name, {})
    value[path[-1]] = copy.deepcopy(leaf)


def _drop(value: Json, path: Path) -> None:
    for name in path[:-1]:
        value = value.get(name, {})
    value.pop(path[-1], None)


def _tree(paths: set[Path]) -> Json:
    tree: Json = {}
    for path in sorted(paths):
        node = tree
        for name in path:
            node = node.setdefault(f"f:{name}", {})
    return tree
