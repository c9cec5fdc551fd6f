"""Which tables and columns a release's code maps, so that what no release maps can be dropped.

`mina-ops db mapped myapp.models:db > mapped/v2.4.5.json`, run in the release's own environment,
writes it down; it holds names only, no data.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Column, MetaData

from mina_ops.errors import ConfigurationError


@dataclass(frozen=True)
class MappedColumn:
    """A column as the code knows it; `writes` says that each insert gives it a value."""

    type: str
    writes: bool


@dataclass(frozen=True)
class Mapped:
    """What one release maps: table -> column -> how."""

    tables: Mapping[str, Mapping[str, MappedColumn]] = field(default_factory=dict)

    def has_table(self, table: str) -> bool:
        """Whether the code maps the table."""
        return table in self.tables

    def has_column(self, table: str, column: str) -> bool:
        """Whether the code maps the column."""
        return column in self.tables.get(table, {})

    def always_writes(self, table: str, column: str) -> bool:
        """Whether every insert of the code gives the column a value."""
        found = self.tables.get(table, {}).get(column)
        return found is not None and found.writes

    def to_text(self) -> str:
        """The file's text."""
        tables = {
            name: {key: asdict(value) for key, value in columns.items()}
            for name, columns in self.tables.items()
        }
        return json.dumps({"tables": tables}, indent=2, sort_keys=True) + "\n"


def of_metadata(metadata: MetaData) -> Mapped:
    """What SQLAlchemy's metadata maps."""
    return Mapped(
        {
            table.name: {column.name: _column(column) for column in table.columns}
            for table in metadata.tables.values()
        }
    )


def of_code(spec: str) -> Mapped:
    """What the code behind "module:name" maps; name is a Flask-SQLAlchemy `db`, a declarative
    base or a MetaData.

    Raises:
        ConfigurationError: it cannot be imported, or is none of these.
    """
    module_name, _, name = spec.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module_name), name or "db")
    except (ImportError, AttributeError) as exc:
        raise ConfigurationError(
            f"{spec} cannot be imported ({type(exc).__name__}); give MODULE:NAME, as "
            "myapp.models:db, and run it where the release runs."
        ) from exc
    finally:
        sys.path.pop(0)
    metadata = found if isinstance(found, MetaData) else getattr(found, "metadata", None)
    if not isinstance(metadata, MetaData):
        raise ConfigurationError(f"{spec} has no SQLAlchemy metadata.")
    return of_metadata(metadata)


def read(path: Path) -> Mapped:
    """The file that `to_text` wrote.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        raw: dict[str, Any] = json.loads(path.read_text())
        tables = {
            table: {name: MappedColumn(**column) for name, column in columns.items()}
            for table, columns in raw["tables"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ConfigurationError(
            f"{path} cannot be read; write it with `mina-ops db mapped MODULE:NAME`."
        ) from exc
    return Mapped(tables)


def _column(column: Column[Any]) -> MappedColumn:
    automatic = column.primary_key and column.autoincrement in (True, "auto")
    given = column.default is not None or (
        not column.nullable and column.server_default is None and not automatic
    )
    return MappedColumn(str(column.type), bool(given))
