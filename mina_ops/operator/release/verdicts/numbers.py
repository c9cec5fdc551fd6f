"""Read the numbers that further triggers judge: figures of the app, and what commands print."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Mapping, Sequence

from mina_ops.errors import OperatorError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.release.verdicts.model import NumberTrigger
from mina_ops.operator.system import programs

_COMMAND_SECONDS = 5.0
_EVERY_SECONDS = 5.0

Value = float | str | None


class NumberReader:
    """Reads each trigger's number of one colour; why it could not is a text in its place.

    A command may name `{colour}` and `{url}` beside a hook's words. It runs at most every 5 s
    for each colour, and for at most 5 s.
    """

    def __init__(self, triggers: Sequence[NumberTrigger], words: Mapping[str, str]) -> None:
        self._triggers = triggers
        self._words = words
        self._last: dict[tuple[str, str], tuple[float, Value]] = {}
        self._lock = threading.Lock()

    def __call__(self, app: AppClient) -> Mapping[str, Value]:
        return {trigger.name: self._read(trigger, app) for trigger in self._triggers}

    def _read(self, trigger: NumberTrigger, app: AppClient) -> Value:
        try:
            if trigger.command is not None:
                return self._printed(trigger, trigger.command, app)
            path, _, key = (trigger.figure or "").partition(":")
            value = app.metric(path).get(key)
        except (OperatorError, KeyError, IndexError, ValueError) as error:
            return str(error)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if is_number else f"/api/metrics/{path} has no number {key}"  # type: ignore[arg-type]

    def _printed(self, trigger: NumberTrigger, command: str, app: AppClient) -> Value:
        place = trigger.name, app.name
        with self._lock:
            at, value = self._last.get(place, (-_EVERY_SECONDS, None))
        if time.monotonic() - at < _EVERY_SECONDS:
            return value
        words = {**self._words, "colour": app.name, "url": app.url}
        argv = [part.format_map(words) for part in shlex.split(command)]
        result = programs.run(argv, timeout_seconds=_COMMAND_SECONDS)
        value = _number(result) if result.ok else f"exit code {result.code}"
        with self._lock:
            self._last[place] = time.monotonic(), value
        return value


def _number(result: programs.Result) -> Value:
    lines = result.stdout.strip().splitlines()
    try:
        return float(lines[-1]) if lines else "it printed nothing"
    except ValueError:
        return f"it printed {lines[-1][:40]!r}"
