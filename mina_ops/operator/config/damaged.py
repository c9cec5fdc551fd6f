"""A mina-ops.toml that is no TOML any more, read table by table for the ways back."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from mina_ops.errors import ConfigurationError
from mina_ops.operator.config import settings
from mina_ops.operator.config.settings import OperatorSettings

_HEADER = re.compile(r"^\s*\[", re.MULTILINE)


def load(path: Path, say: Callable[[str], None]) -> OperatorSettings:
    """The settings of a file; of its sound tables, where one of them is not TOML.

    An unclosed quote in [release] must not keep traffic from going back, which needs [colours]
    and [traffic] alone. What was left out is said.

    Raises:
        ConfigurationError: it cannot be read, or no table of it can be parsed.
    """
    try:
        return settings.load(path)
    except ConfigurationError as error:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            raise error from None
        sound = _sound(text)
        if not sound:
            raise
        say(f"{error} Going on with the tables that can be read: {', '.join(sound)}.")
        return settings.parse(sound, path)


def _sound(text: str) -> dict[str, Any]:
    """What the tables hold that parse on their own."""
    starts = [0, *(found.start() for found in _HEADER.finditer(text)), len(text)]
    kept = ""
    for start, end in pairwise(starts):
        block = text[start:end]
        try:
            tomllib.loads(kept + block)
        except tomllib.TOMLDecodeError:
            continue
        kept += block
    return tomllib.loads(kept)
