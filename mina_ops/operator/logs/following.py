"""Several logs as one stream of lines, each followed by the program that knows how."""

from __future__ import annotations

import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence

from mina_ops.errors import ConfigurationError
from mina_ops.operator.config.settings import OperatorSettings

_LONGEST_LINE = 4_000
_WAITING_LINES = 1_000


def sources(settings: OperatorSettings) -> dict[str, list[str]]:
    """Name of each log that this machine knows -> what shows it, but for its options."""
    found: dict[str, list[str]] = {}
    access_log = settings.section("traffic", settings.driver).path("access_log", None)
    if access_log is not None:
        found[settings.driver] = ["tail", str(access_log)]
    if shutil.which("journalctl"):
        for colour in settings.colours.values():
            for alias in colour.aliases:
                found[colour.name] = ["journalctl", "--no-pager", f"--unit={alias}-*"]
    return found


def choose(known: Mapping[str, list[str]], names: Sequence[str]) -> dict[str, list[str]]:
    """Those that were named, or all.

    Raises:
        ConfigurationError: there is none, or one that is named is unknown.
    """
    if not known:
        raise ConfigurationError(
            "No log is known: set traffic.nginx.access_log in mina-ops.toml, or run the app by "
            "systemd with the units of `mina-ops init`."
        )
    for name in names:
        if name not in known:
            raise ConfigurationError(f"No log {name!r}; known are {', '.join(known)}.")
    return {name: argv for name, argv in known.items() if not names or name in names}


def stream(
    chosen: Mapping[str, Sequence[str]], *, lines: int, follow: bool
) -> Iterator[tuple[str, str]]:
    """(name, line) of every log as they come, until all programs end; ends them when closed."""
    waiting: queue.Queue[tuple[str, str | None]] = queue.Queue(_WAITING_LINES)
    running = [
        subprocess.Popen(
            [*argv, *(["-f"] if follow else []), "-n", str(lines)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            errors="replace",
            text=True,
        )
        for argv in chosen.values()
    ]
    readers = [
        threading.Thread(target=_read, args=(name, process, waiting), daemon=True)
        for name, process in zip(chosen, running, strict=True)
    ]
    for reader in readers:
        reader.start()
    try:
        left = len(readers)
        while left:
            name, line = waiting.get()
            if line is None:
                left -= 1
            else:
                yield name, line
    finally:
        for process in running:
            process.terminate()
            process.wait()


def _read(
    name: str, process: subprocess.Popen[str], waiting: queue.Queue[tuple[str, str | None]]
) -> None:
    assert process.stdout is not None
    with process.stdout as output:
        for line in output:
            # Control codes of whoever was logged must not reach the terminal.
            shown = "".join(c if c.isprintable() or c == "\t" else "?" for c in line.rstrip("\n"))
            waiting.put((name, shown[:_LONGEST_LINE]))
    waiting.put((name, None))
