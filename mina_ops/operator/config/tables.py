"""A table of mina-ops.toml read key by key: typed values, and errors that say what would be right.

Whoever owns a table declares it as a frozen dataclass (see `mina_ops.fields`) and fills it:

    options = settings.section("watch").fill(WatchOptions)

What a declaration cannot say is read key by key and handed in, and `done()` refuses the keys that
nobody asked for:

    table = settings.section("release")
    plan = table.fill(Plan, hooks=_hooks(table))
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, overload

from mina_ops import fields
from mina_ops.errors import ConfigurationError
from mina_ops.fields import FLAG, NUMBER, PATH, TABLE, TEXT, TEXTS, WHOLES, Kind, Rules

_T = TypeVar("_T")


class Table:
    """One table of one file; remembers which keys were read.

    Args:
        file: where it was read from, for messages; relative paths are taken from its folder.
        name: dotted name of the table, "" for the top of the file.
        values: what the TOML parser returned for it.
    """

    def __init__(self, file: Path, name: str, values: Mapping[str, Any]) -> None:
        self.file = file
        self.name = name
        self._values = values
        self._read: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def is_table(self, key: str) -> bool:
        """Whether the key is there and holds a table."""
        return isinstance(self._values.get(key), dict)

    def keys(self) -> list[str]:
        """Every key of the table, in the order of the file."""
        return list(self._values)

    def with_values(self, values: Mapping[str, Any]) -> Table:
        """The same table with some values in the place of its own."""
        return Table(self.file, self.name, {**self._values, **values})

    def wrong(self, key: str, why: str) -> ConfigurationError:
        """The error for a key: names the file and the key; `why` says what would be right."""
        where = f"{self.name}.{key}" if self.name else key
        return ConfigurationError(f"{self.file}: {where}: {why}")

    def fill(self, cls: type[_T], **given: Any) -> _T:
        """An object of a declared class: each field from its key, or `given`, or its default.

        A field whose default is itself such an object is a table within this one. Relative
        paths, those of defaults too, start at the file's folder.

        Raises:
            ConfigurationError: a key is unknown, missing, of the wrong type or out of range.
        """
        values = dict(given)
        for spec, rules in fields.declared(cls):
            key = rules.key or spec.name
            if spec.name in values:
                self.ignore(key)
            elif rules.kind is TABLE:
                values[spec.name] = self.table(key).fill(spec.default_factory)  # type: ignore[arg-type]
            elif key in self or rules.shown == "needed":
                values[spec.name] = self._value(key, rules)
            else:
                self.ignore(key)
                if rules.kind is PATH and isinstance(spec.default, Path):
                    values[spec.name] = self._absolute(spec.default)
        self.done()
        return cls(**values)

    @overload
    def text(self, key: str) -> str: ...
    @overload
    def text(self, key: str, default: _T) -> str | _T: ...
    def text(self, key: str, default: Any = ...) -> Any:
        """A text that is not empty; without a default the key must be there."""
        return self._get(key, TEXT, default)

    def choice(self, key: str, among: tuple[str, ...], default: str | None = None) -> str:
        """One of a few words."""
        return str(self._get(key, TEXT, ... if default is None else default, choices=among))

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        return bool(self._get(key, FLAG, default))

    def number(
        self, key: str, default: float, *, least: float | None = None, most: float | None = None
    ) -> float:
        """A number between `least` and `most`, both allowed."""
        return float(self._get(key, NUMBER, default, least=least, most=most))

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A list of texts that are not empty."""
        return tuple(self._get(key, TEXTS, ... if default is None else default))

    def integers(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """A list of whole numbers."""
        return tuple(self._get(key, WHOLES, default))

    @overload
    def path(self, key: str) -> Path: ...
    @overload
    def path(self, key: str, default: _T) -> Path | _T: ...
    def path(self, key: str, default: Any = ...) -> Any:
        """A path; `~` is expanded, a relative one starts at the file's folder."""
        return self._get(key, PATH, default)

    def table(self, key: str, *, required: bool = False) -> Table:
        """A table within this one; an absent one is empty unless it is required."""
        value = self._get(key, TABLE, ... if required else {})
        return Table(self.file, f"{self.name}.{key}" if self.name else key, value)

    def ignore(self, *keys: str) -> None:
        """Leave these keys to whoever else reads the table."""
        self._read.update(keys)

    def done(self) -> None:
        """Refuse what was not read.

        Raises:
            ConfigurationError: names the first unknown key and the known one nearest to it.
        """
        for key in self._values:
            if key not in self._read:
                near = difflib.get_close_matches(key, self._read, n=1)
                known = ", ".join(sorted(self._read))
                hint = f"Did you mean {near[0]!r}?" if near else f"Known here: {known}."
                raise self.wrong(key, f"unknown key. {hint}")

    def _get(self, key: str, kind: Kind, default: Any, **range_: Any) -> Any:
        if key not in self._values and default is not ...:
            self.ignore(key)
            return default
        return self._value(key, Rules(kind=kind, meaning="", **range_))

    def _value(self, key: str, rules: Rules) -> Any:
        self.ignore(key)
        if key not in self._values:
            raise self.wrong(key, f"is missing; give {rules.kind.word}.{self._near(key)}")
        value = self._values[key]
        try:
            value = rules.kind.typed(value)
        except ValueError as exc:
            why = str(exc) if value == "" else f"{value!r} {exc}."
            raise self.wrong(key, why) from exc
        if rules.kind is PATH:
            value = self._absolute(value)
        if not rules.holds(value):
            raise self.wrong(key, self._out_of_range(value, rules))
        return value

    def _absolute(self, path: str | Path) -> Path:
        return (self.file.parent / Path(path).expanduser()).absolute()

    def _out_of_range(self, value: Any, rules: Rules) -> str:
        if rules.form:
            return f"{rules.misfit(value)!r} must {rules.form.words}."
        if not rules.choices:
            return f"{value!r} is out of range; give {rules.range() or 'a finite number'}."
        near = difflib.get_close_matches(value, rules.choices, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return f"{value!r} is none of {', '.join(rules.choices)}.{hint}"

    def _near(self, key: str) -> str:
        near = difflib.get_close_matches(key, set(self._values) - self._read, n=1)
        return f" Did you mean it by {near[0]!r}?" if near else ""
