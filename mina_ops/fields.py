"""A setting, declared once: its default, kind, unit, range and meaning.

The settings of the app and the tables of mina-ops.toml are frozen dataclasses of such fields:

    @dataclass(frozen=True)
    class WatchOptions:
        pause: float = setting(5.0, NUMBER, "Pause between two looks.", "seconds", least=0.1)

Two readers take them: `mina_ops.app.settings.load` from `app.config` and environment variables,
whose values are texts, and `Table.fill` from mina-ops.toml, whose values have a type. Both check
the same range. `markdown` makes the table in docs/ of the same fields.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """What a value may be.

    Attributes:
        word: how messages call it, as "a whole number".
        from_text: the value of a text (an environment variable) or of what `app.config` holds;
            raises ValueError, KeyError or TypeError.
        typed: the same value, if TOML gave it in the right type; raises ValueError.
    """

    word: str
    from_text: Callable[[Any], Any]
    typed: Callable[[Any], Any]


@dataclass(frozen=True)
class Form:
    """What a text must be like, beyond being one.

    Attributes:
        fits: says of a text whether it is like that, by a value that is true.
        words: what it must do, after "must", as "look like '/static/'".
    """

    fits: Callable[[str], object]
    words: str


@dataclass(frozen=True, kw_only=True)
class Rules:
    """All that is known of one setting beside its name and default.

    Attributes:
        key: what it is called where it is read, if that is not the field's own name.
        above, least, most: the range of a number; `above` is not in it, the others are.
        choices: the only texts that are allowed; (): any.
        form: of a text or path, or of each text of a list; None: any.
        secret: its value is never shown.
        code_only: read from `app.config` alone, since no text can hold it.
        shown: what docs show in the place of the default.
    """

    kind: Kind
    meaning: str
    unit: str = ""
    key: str = ""
    above: float | None = None
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    form: Form | None = None
    secret: bool = False
    code_only: bool = False
    shown: str | None = None

    def range(self) -> str:
        """The range in words, as "above 0 and at most 5"; "" for any value."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.form:
            return f"must {self.form.words}"
        low = f"above {self.above:g}" if self.above is not None else ""
        low = f"at least {self.least:g}" if self.least is not None else low
        high = f"at most {self.most:g}" if self.most is not None else ""
        return " and ".join(part for part in (low, high) if part)

    def misfit(self, value: Any) -> str | None:
        """The first text of a value that has not the form; None if all have it."""
        if self.form is None:
            return None
        texts = value if isinstance(value, tuple) else (value,)
        return next((str(text) for text in texts if not self.form.fits(str(text))), None)

    def holds(self, value: Any) -> bool:
        """Whether the value is in the range; what is no number has none."""
        if self.choices:
            return value in self.choices
        if self.misfit(value) is not None:
            return False
        if isinstance(value, bool) or not isinstance(value, int | float):
            return True
        return (
            math.isfinite(value)
            and (self.above is None or value > self.above)
            and (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
        )


def setting(default: Any, kind: Kind, meaning: str, unit: str = "", **more: Any) -> Any:
    """A dataclass field with its rules; `more` are further fields of `Rules`.

    A default that can be called makes the default, as `dict` does.
    """
    rules = Rules(kind=kind, meaning=meaning, unit=unit, **more)
    given = {"default_factory" if callable(default) else "default": default}
    return dataclasses.field(**given, metadata={"rules": rules}, repr=not rules.secret)


def needed(kind: Kind, meaning: str, unit: str = "", **more: Any) -> Any:
    """As `setting`, for a value that has no default and must be given."""
    rules = Rules(kind=kind, meaning=meaning, unit=unit, shown="needed", **more)
    return dataclasses.field(metadata={"rules": rules}, repr=not rules.secret)


def declared(cls: Any) -> Iterator[tuple[dataclasses.Field[Any], Rules]]:
    """The fields of a class that were made by `setting` or `needed`, in their order."""
    for spec in dataclasses.fields(cls):
        if "rules" in spec.metadata:
            yield spec, spec.metadata["rules"]


def markdown(cls: Any, title: str = "key", *, beside: Any = None) -> str:
    """The fields of a class as a table for docs/; those of `beside` stand elsewhere."""
    others = {spec.name for spec, _ in declared(beside)} if beside else set()
    rows = [f"| {title} | default | unit | range | meaning |", "| --- | --- | --- | --- | --- |"]
    for spec, rules in declared(cls):
        if spec.name in others:
            continue
        where = " (app.config only)" if rules.code_only else ""
        cells = [f"`{rules.key or spec.name}`", _default(spec, rules), rules.unit, rules.range()]
        rows.append(f"| {' | '.join(cells)} | {rules.meaning}{where} |")
    return "\n".join(rows)


def _default(spec: dataclasses.Field[Any], rules: Rules) -> str:
    if rules.shown is not None:
        return rules.shown
    value = spec.default
    if value is MISSING or value is None or value == ():
        return ""
    # A setting of the app has a key of its own, and its value is the text of a variable.
    return f"`{_as_text(value) if rules.key else _as_toml(value)}`"


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _as_toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_as_toml, value))}]"
    if isinstance(value, bool | int | float):
        return _as_text(value)
    return f'"{value}"'


def _typed(word: str, *types: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        # Python counts True as an int; TOML does not.
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise ValueError(f"must be {word}")
        return value

    return check


def _list_of(word: str, fits: Callable[[Any], bool]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, list | tuple) or not all(map(fits, value)):
            raise ValueError(f"must be {word}")
        return tuple(value)

    return check


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _nonempty(value: Any) -> str:
    text: str = _typed("a text in quotes", str)(value)
    if not text:
        raise ValueError("is empty; give a value or leave the key out.")
    return text


def _text(value: object) -> str:
    return str(value).strip()


def _text_or_none(value: object) -> str | None:
    return _text(value) or None


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False, "": False}
    return words[_text(value).lower()]


def _whole(value: object) -> int:
    return int(_text(value))


def _texts(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else list(value)
    return tuple(_text(part) for part in parts if _text(part))


def _unchanged(value: Any) -> Any:
    return value


_WORDS = "a list of texts, none of them empty"
_NUMBERS = "a list of whole numbers"

TEXT = Kind("a text in quotes", _text, _nonempty)
TEXT_OR_NONE = Kind("a text in quotes", _text_or_none, _nonempty)
FLAG = Kind("true or false", _flag, _typed("true or false", bool))
WHOLE = Kind("a whole number", _whole, _typed("a whole number", int))
NUMBER = Kind("a number", float, _typed("a number", int, float))
TEXTS = Kind(_WORDS, _texts, _list_of(_WORDS, _is_text))
WHOLES = Kind(_NUMBERS, _unchanged, _list_of(_NUMBERS, _is_whole))
PATH = Kind("a path in quotes", _text, _nonempty)
"""A path; in mina-ops.toml a relative one starts at the file's folder."""
TABLE = Kind("a table", _unchanged, _typed("a table", dict))
ANYTHING = Kind("a Python object", _unchanged, _unchanged)
