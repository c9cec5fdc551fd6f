"""A rotation in a process of its own, which a fault meets right after its n-th effect.

An effect is whatever others can see: a file written, a statement of PostgreSQL, a command of
Redis, a colour reloaded, a journal removed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from sqlalchemy import Connection

from mina_ops import files
from mina_ops.operator.system import programs

KILL = "kill -9"
Fault = Callable[[], None]


class Effects:
    """Counts effects; after the one of that number it calls `fault`, or dies."""

    def __init__(self, number: int, fault: Fault | None = None) -> None:
        self.number = number
        self.fault = fault
        self.labels: list[str] = []

    def install(self) -> None:
        """Watch every effect of this process from now on."""
        self._wrap(files, "write", lambda path, *_: _of_file("wrote", path))
        self._wrap(Path, "unlink", lambda path, *_: _of_file("removed", path))
        self._wrap(programs, "run", lambda argv: f"reloaded {argv[-1]}")
        self._wrap(
            Connection,
            "exec_driver_sql",
            lambda _, statement, *__: _of_postgresql(statement),
        )
        self._wrap(redis.Redis, "execute_command", _of_redis)

    def _wrap(self, owner: Any, name: str, label: Callable[..., str]) -> None:
        call = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            found = call(*args, **kwargs)
            told = label(*args)
            if told:
                self._happened(told)
            return found

        setattr(owner, name, watched)

    def _happened(self, label: str) -> None:
        self.labels.append(label)
        if len(self.labels) == self.number:
            if self.fault is None:
                os.kill(os.getpid(), signal.SIGKILL)
            else:
                self.fault()


def _of_file(did: str, path: Any) -> str:
    name = Path(path).name
    if name.startswith("."):  # a file that is not whole yet
        return ""
    kinds = {"rotation": "the journal", "tokens": "the new tokens", "env": "the file"}
    return f"{did} {kinds.get(name.rpartition('.')[2], 'the own token')}"


def _of_postgresql(statement: str) -> str:
    words = statement.split()
    is_change = words[0] in ("CREATE", "ALTER", "DROP", "REASSIGN")
    # The role's name is another one each time.
    return f"PostgreSQL: {' '.join([*words[:2], '...', *words[3:4]])}" if is_change else ""


def _of_redis(_: Any, *words: Any) -> str:
    changing = words and words[0] in ("ACL", "CONFIG") and words[1] not in ("GET",)
    return f"Redis: {words[0]} {words[1]}" if changing else ""
