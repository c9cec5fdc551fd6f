"""How far a rotation of secrets is, so that a killed one can be resumed or undone."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from mina_ops import files
from mina_ops.errors import ConfigurationError, OperatorError


class Stage(StrEnum):
    """How far a rotation is; each is written down before it begins."""

    PLANNED = "planned"
    WIDEN = "widen"
    SWITCH = "switch"
    NARROW = "narrow"
    RETIRE = "retire"


@dataclass
class Journal:
    """A rotation that goes on: what was, what comes, how far it is. Holds secrets.

    Attributes:
        old, new: variables of the file.
        tokens: name -> new admin token; the file itself holds digests only.
        role: the new database role.
        own_token: the operator's own token before the rotation, if it is one of those that go.
    """

    kinds: list[str]
    stage: str
    old: dict[str, str] = field(repr=False)
    new: dict[str, str] = field(repr=False)
    tokens: dict[str, str] = field(default_factory=dict, repr=False)
    role: str = ""
    end_sessions: bool = False
    own_token: str = field(default="", repr=False)


def write(file: Path, journal: Journal) -> None:
    """Put the journal on the disk, as a whole and only for its owner."""
    files.write(file, json.dumps(asdict(journal)))


def read(file: Path) -> Journal:
    """The journal in a file.

    Raises:
        ConfigurationError: there is none, so no rotation goes on.
        OperatorError: it cannot be read.
    """
    try:
        return Journal(**json.loads(file.read_text()))
    except FileNotFoundError as exc:
        raise ConfigurationError("There is no rotation to go on with.") from exc
    except (OSError, ValueError, TypeError) as exc:
        raise OperatorError(f"{file} cannot be read.") from exc
