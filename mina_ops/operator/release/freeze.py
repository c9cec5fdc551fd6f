"""A freeze: no release starts until it is lifted. What runs goes on, what is bad is taken back."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from mina_ops import files
from mina_ops.errors import Locked, OperatorError
from mina_ops.operator.system.people import whoami

_FILE = "freeze.json"


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
    """Freeze releases; a second time only gives a new reason.

    Raises:
        NotWritten: the folder cannot be written.
    """
    before = read(folder)
    made = Freeze(whoami(), why, before.since if before else time.time())
    files.write(folder / _FILE, json.dumps(asdict(made)))
    return made


def lift(folder: Path) -> bool:
    """Let releases start again; True if they were frozen. Idempotent."""
    try:
        (folder / _FILE).unlink()
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise OperatorError(f"{folder / _FILE} cannot be removed: {exc.strerror}.") from exc
    return True


def read(folder: Path) -> Freeze | None:
    """The freeze that holds, if any; a file that cannot be read is one, to be safe."""
    path = folder / _FILE
    try:
        raw = json.loads(path.read_text())
        return Freeze(str(raw["who"]), str(raw["why"]), float(raw["since"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return Freeze("somebody", f"{path} cannot be read", 0.0)


def require_none(folder: Path) -> None:
    """Return unless releases are frozen.

    Raises:
        Locked: they are; the message says who, why and how to lift it.
    """
    found = read(folder)
    if found is not None:
        raise Locked(f"{found.describe()} `mina-ops release unfreeze` lifts it.")
