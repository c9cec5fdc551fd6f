"""The only place of the operator's half that starts other programs."""

from __future__ import annotations

import os
import select
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mina_ops.errors import OperatorError, ToolMissing
from mina_ops.operator.system import output

# Debian keeps servers where a user's PATH does not look.
_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
# Of nginx, HAProxy and Envoy.
_ERROR_WORDS = ("[emerg]", "[ALERT]", "[critical]")
_LINES_KEPT = 200
_GOODBYE_SECONDS = 5.0
_STOP_POLL_SECONDS = 0.5
_LAST_WORDS_SECONDS = 10.0


@dataclass(frozen=True)
class Result:
    """How a program ended: exit code and what it wrote."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """Whether the exit code was 0."""
        return self.code == 0

    def reason(self) -> str:
        """The first line that a server marks as an error, else the last line."""
        lines = (self.stderr + self.stdout).splitlines()
        marked = (line for line in lines if any(word in line for word in _ERROR_WORDS))
        return next(marked, self.last_line()).strip()

    def last_line(self) -> str:
        """The last line that it wrote, on stderr if there is any, for a message."""
        lines = (self.stderr.strip() or self.stdout.strip()).splitlines()
        return lines[-1].strip() if lines else f"exit code {self.code}, no output"


def find(program: str, advice: str = "") -> str:
    """The full path of a program, from PATH or the system's own folders.

    Raises:
        ToolMissing: there is none; the message ends with `advice`.
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SYSTEM_FOLDERS])
    found = shutil.which(program, path=path)
    if found is None:
        raise ToolMissing(f"{program} is not installed, or not executable. {advice}".strip())
    return found


def run(
    argv: Sequence[str | Path],
    *,
    timeout_seconds: float = 30.0,
    text_in: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Result:
    """Run a program to its end, never through a shell; its exit code is not judged.

    Args:
        text_in: its standard input; default: nothing.
        environment: variables on top of this process's own.

    Raises:
        ToolMissing: there is no such program.
        OperatorError: it ran longer than `timeout_seconds` and was ended.
    """
    command = [find(str(argv[0])), *(str(part) for part in argv[1:])]
    try:
        done = subprocess.run(
            command,
            input=text_in or "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            env={**os.environ, **(environment or {})},
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise OperatorError(
            f"`{quoted(argv)}` did not end within {timeout_seconds:g} s and was stopped."
        ) from exc
    except OSError as exc:
        raise ToolMissing(f"{argv[0]} cannot be run: {exc.strerror}.") from exc
    return Result(tuple(command), done.returncode, done.stdout, done.stderr)


def follow(
    argv: Sequence[str | Path],
    on_line: Callable[[str], None],
    *,
    timeout_seconds: float,
    environment: Mapping[str, str] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Run a program and hand on each line that it writes, at once; its exit code is not judged.

    It ends with all that it started, also when this call is interrupted. A process that it
    leaves behind on purpose may live on, and is not waited for.

    Args:
        on_line: called from another thread with each line of standard output and error, without
            control codes, at most 2,000 characters of it, secrets that are known masked.
        stop: asked twice a second; True ends the program.

    Raises: as `run` does.
    """
    command = [find(str(argv[0])), *(str(part) for part in argv[1:])]
    kept: deque[str] = deque(maxlen=_LINES_KEPT)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    except OSError as exc:
        raise ToolMissing(f"{argv[0]} cannot be run: {exc.strerror}.") from exc
    assert process.stdout is not None
    reader = threading.Thread(target=_read, args=(process.stdout, kept, on_line), daemon=True)
    reader.start()
    try:
        _wait(process, argv, timeout_seconds, stop)
    finally:
        _end_group(process)
        _hear_out(reader, process.stdout)
    return Result(tuple(command), process.returncode, "\n".join(kept), "")


def _wait(
    process: subprocess.Popen[bytes],
    argv: Sequence[str | Path],
    timeout_seconds: float,
    stop: Callable[[], bool],
) -> None:
    deadline = time.monotonic() + timeout_seconds
    while True:
        left = deadline - time.monotonic()
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, min(left, _STOP_POLL_SECONDS)))
            return
        if stop():
            raise OperatorError(f"`{quoted(argv)}` was stopped.")
        if left <= 0:
            raise OperatorError(
                f"`{quoted(argv)}` did not end within {timeout_seconds:g} s and was stopped."
            )


def _read(stream: IO[bytes], kept: deque[str], on_line: Callable[[str], None]) -> None:
    mask = output.Mask(os.environ)
    with stream:
        for line in output.lines(stream):
            shown = mask(line)
            kept.append(shown)
            on_line(shown)


def _hear_out(reader: threading.Thread, stream: IO[bytes]) -> None:
    """Wait until all is read that was written; what lives on may keep the stream open, silent."""
    deadline = time.monotonic() + _LAST_WORDS_SECONDS
    reader.join(1.0)
    while reader.is_alive() and time.monotonic() < deadline:
        with suppress(ValueError):  # closed: the reader has just come to the end
            if not select.select([stream], [], [], 0)[0]:
                return
        reader.join(1.0)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for order in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, order)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GOODBYE_SECONDS)


def quoted(argv: Sequence[str | Path]) -> str:
    """A command as one would type it into a shell."""
    return shlex.join(str(part) for part in argv)
