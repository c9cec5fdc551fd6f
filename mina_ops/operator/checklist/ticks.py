"""Keeps what people ticked off on a checklist, in a file for each list and release."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from mina_ops import files
from mina_ops.errors import ConfigurationError
from mina_ops.operator.checklist.model import Item


class Ticks:
    """What people ticked off on one list for one release; the file is replaced as a whole."""

    def __init__(self, folder: Path, checklist: str, version: str) -> None:
        self._file = folder / f"{checklist}-{version.replace('/', '_')}.json"

    def read(self) -> dict[str, str]:
        """Item name -> when and by whom.

        Raises:
            ConfigurationError: the file is damaged.
        """
        try:
            found = json.loads(self._file.read_text())
            return {str(name): str(text) for name, text in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError) as exc:
            raise ConfigurationError(f"{self._file} cannot be read; remove it.") from exc

    def tick(self, names: Sequence[str], items: Sequence[Item], now: datetime, who: str) -> None:
        """Tick items off, with the time (UTC) and who did it.

        Raises:
            ConfigurationError: there is no such item.
        """
        known = {item.name for item in items}
        if unknown := sorted(set(names) - known):
            raise ConfigurationError(
                f"There is no item {', '.join(unknown)}; there are {', '.join(sorted(known))}."
            )
        done = self.read() | dict.fromkeys(names, f"done {now:%Y-%m-%d %H:%M} UTC by {who}")
        files.write(self._file, json.dumps(done, indent=2, sort_keys=True) + "\n")
