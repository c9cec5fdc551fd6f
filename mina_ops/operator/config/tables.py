"""A table of mina-ops.toml read key by key: typed values, and errors that say what would be right.

Whoever owns a table reads it into a frozen dataclass and ends with `done()`, which refuses the
keys that nobody asked for:

    table = settings.section("notify")
    options = NotifyOptions(urls=table.texts("urls"), tries=table.integer("tries", 3, least=1))
    table.done()
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, overload

from mina_ops.errors import ConfigurationError

_T = TypeVar("_T")
_KINDS: Mapping[type, str] = {
    str: "a text in quotes",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a table",
}


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

    def keys(self) -> list[str]:
        """Every key of the table, in the order of the file."""
        return list(self._values)

    def wrong(self, key: str, why: str) -> ConfigurationError:
        """The error for a key: names the file and the key; `why` says what would be right."""
        where = f"{self.name}.{key}" if self.name else key
        return ConfigurationError(f"{self.file}: {where}: {why}")

    @overload
    def text(self, key: str) -> str: ...
    @overload
    def text(self, key: str, default: _T) -> str | _T: ...
    def text(self, key: str, default: Any = ...) -> Any:
        """A text that is not empty; without a default the key must be there."""
        value = self._get(key, str, default)
        if value == "" and key in self._values:
            raise self.wrong(key, "is empty; give a value or leave the key out.")
        return value

    def choice(self, key: str, among: tuple[str, ...], default: str | None = None) -> str:
        """One of a few words."""
        value = self.text(key) if default is None else self.text(key, default)
        if value not in among:
            near = difflib.get_close_matches(value, among, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise self.wrong(key, f"{value!r} is none of {', '.join(among)}.{hint}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        return bool(self._get(key, bool, default))

    def integer(
        self, key: str, default: int, *, least: int | None = None, most: int | None = None
    ) -> int:
        """A whole number between `least` and `most`, both allowed."""
        return int(self._ranged(key, int, default, least, most))

    def number(
        self, key: str, default: float, *, least: float | None = None, most: float | None = None
    ) -> float:
        """A number between `least` and `most`, both allowed."""
        return float(self._ranged(key, float, default, least, most))

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A list of texts that are not empty."""
        value = self._get(key, list, ... if default is None else list(default))
        if not all(isinstance(item, str) and item for item in value):
            raise self.wrong(key, f"{value!r} must be a list of texts, none of them empty.")
        return tuple(value)

    def integers(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """A list of whole numbers."""
        value = self._get(key, list, list(default))
        if not all(isinstance(item, int) and not isinstance(item, bool) for item in value):
            raise self.wrong(key, f"{value!r} must be a list of whole numbers.")
        return tuple(value)

    @overload
    def path(self, key: str) -> Path: ...
    @overload
    def path(self, key: str, default: _T) -> Path | _T: ...
    def path(self, key: str, default: Any = ...) -> Any:
        """A path; `~` is expanded, a relative one starts at the file's folder."""
        value = self.text(key, default)
        if not isinstance(value, str):
            return value
        return (self.file.parent / Path(value).expanduser()).absolute()

    def table(self, key: str, *, required: bool = False) -> Table:
        """A table within this one; an absent one is empty unless it is required."""
        value = self._get(key, dict, ... if required else {})
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

    def _ranged(
        self, key: str, kind: type, default: float, least: float | None, most: float | None
    ) -> float:
        value: float = self._get(key, kind, default)
        if (least is not None and value < least) or (most is not None and value > most):
            low = "" if least is None else f"at least {least:g}"
            high = "" if most is None else f"at most {most:g}"
            limits = " and ".join(part for part in (low, high) if part)
            raise self.wrong(key, f"{value!r} is out of range; give {limits}.")
        return value

    def _get(self, key: str, kind: type, default: Any) -> Any:
        self._read.add(key)
        if key not in self._values:
            if default is ...:
                raise self.wrong(key, f"is missing; give {_KINDS[kind]}.")
            return default
        value = self._values[key]
        accepted = (int, float) if kind is float else (kind,)
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise self.wrong(key, f"{value!r} must be {_KINDS[kind]}.")
        return value
