"""Logs that expire (`Store.append_lines`, `Store.lines_since`) as Redis streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mina_ops.app.state import scripts
from mina_ops.app.state.base import Line, LogLine


def append(client: Any, lines: Sequence[LogLine], *, keep: int, ttl_ms: int) -> None:
    """See `Store.append_lines`; raises what redis-py raises."""
    if not lines:
        return
    pipe = client.pipeline(transaction=False)
    for line in lines:
        if line.once is None:
            pipe.xadd(line.log, dict(line.fields), maxlen=keep, approximate=True)
            continue
        flat = [part for pair in line.fields.items() for part in pair]
        once = [f"{line.log}:once:{line.once}", line.log]
        pipe.execute_command("EVAL", scripts.APPEND_ONCE, 2, *once, ttl_ms, keep, *flat)
    for log in {line.log for line in lines}:
        pipe.pexpire(log, 2 * ttl_ms)
    pipe.execute()


def since(client: Any, logs: Sequence[str], moment: float) -> list[list[Line]]:
    """The lines of each log, see `Store.lines_since`; raises what redis-py raises."""
    pipe = client.pipeline(transaction=False)
    for log in logs:
        pipe.xrange(log, min=f"{max(0, int(moment * 1000))}-0")
    found = pipe.execute() if logs else []
    return [[_line(name, fields) for name, fields in lines] for lines in found]


def _line(name: bytes, fields: dict[bytes, bytes]) -> Line:
    at = int(name.split(b"-")[0]) / 1000
    return at, {key.decode(): value for key, value in fields.items()}
