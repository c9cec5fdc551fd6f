"""A freeze: no release starts until it is lifted. Running ones go on, and can be taken back."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mina_ops import files
from mina_ops.errors import Locked, OperatorError
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.release.elsewhere import ask_app
from mina_ops.operator.system.people import whoami

_FILE = "freeze.json"
_PATH = "/admin/freeze"


@dataclass(frozen=True)
class Freeze:
    """Who froze releases, why, and when (unix seconds)."""

    who: str
    why: str
    since: float

    def describe(self) -> str:
        """As a person reads it."""
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.since))
        return f"Releases are frozen by {self.who} since {when}: {self.why or 'no reason given'}."


def freeze(folder: Path, why: str) -> Freeze:
    """Freeze the releases of a folder; a second time only gives a new reason.

    Raises:
        NotWritten: the folder cannot be written.
    """
    before = read(folder)
    made = Freeze(whoami(), why, before.since if before else time.time())
    files.write(folder / _FILE, json.dumps(asdict(made)))
    return made


def lift(folder: Path) -> bool:
    """Let releases of a folder start again; True if they were frozen. Idempotent."""
    try:
        (folder / _FILE).unlink()
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise OperatorError(f"{folder / _FILE} cannot be removed: {exc.strerror}.") from exc
    return True


def read(folder: Path) -> Freeze | None:
    """The freeze of a folder, if any; a file that cannot be read is one, to be safe."""
    path = folder / _FILE
    try:
        return _parsed(json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return Freeze("somebody", f"{path} cannot be read", 0.0)


def freeze_everywhere(settings: OperatorSettings, folder: Path, why: str) -> tuple[Freeze, bool]:
    """Freeze this folder and, through the app, every other machine.

    Returns:
        The freeze, and whether the app knows of it. Where no colour answers only this folder is
        frozen.
    """
    made = freeze(folder, why)
    told = ask_app(settings, "PUT", _PATH, {"why": _short(why), "who": _short(made.who)})
    return made, told is not None


def lift_everywhere(settings: OperatorSettings, folder: Path) -> tuple[bool, bool]:
    """Lift the freeze here and in the app: whether there was one, and whether the app answered."""
    shared = _shared(settings)
    here = lift(folder)
    told = ask_app(settings, "DELETE", _PATH)
    return here or shared is not None, told is not None


def holding(settings: OperatorSettings, folder: Path) -> Freeze | None:
    """The freeze of this folder or, if there is none, the one that the app knows of."""
    return read(folder) or _shared(settings)


def require_none(settings: OperatorSettings, folder: Path) -> None:
    """Return unless releases are frozen, here or at the console or on another machine.

    Raises:
        Locked: they are; the message says who, why and how to lift it.
    """
    found = holding(settings, folder)
    if found is not None:
        raise Locked(f"{found.describe()} `mina-ops release unfreeze` lifts it.")


def _shared(settings: OperatorSettings) -> Freeze | None:
    """The freeze in the app; None as well where no colour answers: a release asks both anyway."""
    answer = ask_app(settings, "GET", _PATH) or {}
    try:
        return _parsed(answer["freeze"]) if answer.get("freeze") else None
    except (KeyError, TypeError, ValueError):
        return None


def _parsed(raw: Any) -> Freeze:
    return Freeze(str(raw["who"]), str(raw["why"]), float(raw["since"]))


def _short(text: str) -> str:
    return " ".join(text.split())[:200]
