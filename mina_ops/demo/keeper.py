"""Ends a server when the process that started it was killed and could not do it itself.

It is a shell beside the server, which reads from a pipe. Only the starting process holds the other
end: if that process dies in whatever way, the pipe ends, and the shell ends the server. This works
on any POSIX system, whichever thread started the server.
"""

from __future__ import annotations

import signal
import subprocess
from contextlib import suppress

# A line in the pipe dismisses the keeper; if the pipe ends without one, the starter was killed.
_SCRIPT = """
read -r _ && exit
kill -s "$2" "$1"
kill -s CONT -- "-$1"
while kill -s 0 "$1" && [ "$3" -gt 0 ]; do sleep 1; set -- "$1" "$2" "$(($3 - 1))"; done
kill -s KILL -- "-$1"
"""


class Keeper:
    """Watches the starting process for one server and its group, until it is dismissed."""

    def __init__(self, leader: int, number: signal.Signals, seconds: float) -> None:
        """Begin to watch.

        Args:
            leader: the server, which leads a process group.
            number: the signal that asks it for a clean end.
            seconds: how long that may take before the whole group gets KILL.
        """
        words = (str(leader), number.name.removeprefix("SIG"), str(max(1, round(seconds))))
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "keeper", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # What is sent to our group or terminal must not reach it.
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """Let it go; it touches nothing any more. Idempotent."""
        if self._process.returncode is not None:
            return
        assert self._process.stdin is not None
        with suppress(BrokenPipeError), self._process.stdin as pipe:
            pipe.write(b"\n")
        self._process.wait()
