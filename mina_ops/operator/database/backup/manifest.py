"""What lies beside a backup: its checksum, where it came from, and what it must hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mina_ops import files
from mina_ops.operator.database.backup.census import Count
from mina_ops.operator.database.backup.traits import Traits
from mina_ops.operator.database.connection.errors import RestoreFailed
from mina_ops.operator.database.connection.trust import Code

FORMAT = 1
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """The proof of one backup.

    Attributes:
        restored: a restore of it gave the same rows; `unproven` is what that did not try.
        source: where the database was, by its URL; `identity` is what its server said.
        traits: what a database must be like to take it.
        code: the expressions in it that run more than functions which only compute.
        schemas: where the app's own functions may look for others.
    """

    file: str
    bytes: int
    sha256: str
    database: str
    kind: str
    server_version: str
    created_at: str
    revision: str | None
    restored: bool
    tables: Mapping[str, Count] = field(default_factory=dict)
    source: str = ""
    identity: str = ""
    traits: Traits = field(default_factory=Traits)
    code: Sequence[Code] = ()
    schemas: Sequence[str] = ()
    unproven: Sequence[str] = ()
    format: int = FORMAT

    @property
    def created(self) -> datetime:
        """When the snapshot was taken, in UTC."""
        return datetime.fromisoformat(self.created_at).astimezone(UTC)

    @property
    def rows(self) -> int:
        """Rows of all tables together."""
        return sum(count.rows for count in self.tables.values())


def proven(manifest: Manifest, unproven: Sequence[str]) -> Manifest:
    """The manifest of a backup that was restored and compared."""
    return replace(manifest, restored=True, unproven=tuple(unproven))


def path_of(backup: Path) -> Path:
    """Where the manifest of a backup lies; a link such as backup_latest.sql is followed."""
    real = backup.resolve()
    return real.with_name(real.name + ".manifest.json")


def write(backup: Path, manifest: Manifest) -> None:
    """Put the manifest beside its backup, as a whole or not at all."""
    files.write(path_of(backup), json.dumps(asdict(manifest), indent=2, sort_keys=True) + "\n")


def read(backup: Path) -> Manifest | None:
    """The manifest of a backup; None if it has none.

    Raises:
        RestoreFailed: there is one that cannot be read.
    """
    path = path_of(backup)
    try:
        raw: dict[str, Any] = json.loads(path.read_text())
        if raw["format"] != FORMAT:
            raise ValueError("of another version")
        raw["tables"] = {name: Count(**count) for name, count in raw["tables"].items()}
        raw["traits"] = Traits(**raw.get("traits", {}))
        raw["code"] = tuple(Code(**item) for item in raw.get("code", ()))
        raw |= {name: tuple(raw.get(name, ())) for name in ("schemas", "unproven")}
        manifest = Manifest(**raw)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise RestoreFailed(f"The manifest {path} cannot be read; use another backup.") from exc
    return manifest


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def newest(folder: Path, *sources: str) -> tuple[Path, Manifest] | None:
    """The newest backup in a folder that was proven by a restore.

    A backup whose manifest cannot be read is passed over.

    Args:
        sources: only backups of these databases, each by its address or identity; default: of
            any.
    """
    found = []
    for manifest_file in sorted(folder.glob("backup_*.manifest.json")):
        backup = manifest_file.with_name(manifest_file.name.removesuffix(".manifest.json"))
        try:
            manifest = read(backup)
        except RestoreFailed:
            continue
        if manifest is None or not manifest.restored or not backup.is_file():
            continue
        if not sources or {manifest.source, manifest.identity} & set(sources):
            found.append((backup, manifest))
    return max(found, key=lambda pair: pair[1].created, default=None)
