"""All files of a first set-up: planned first, then all of them are written, or none."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from mina_ops import files, shipped
from mina_ops.errors import ConfigurationError
from mina_ops.operator.config.settings import FILE_NAME
from mina_ops.operator.setup import operator_file, processes
from mina_ops.operator.setup.options import SetupOptions
from mina_ops.operator.setup.tokens import new_token

_PUBLIC = 0o644
_EXECUTABLE = 0o755

APP_LINES = (
    "from mina_ops import MinaOps",
    "",
    "# A queue, so that both colours' sessions are in the same rooms:",
    '# socketio = SocketIO(app, message_queue=os.environ.get("REDIS_URL"))',
    "ops = MinaOps(app, socketio=socketio, db=db)  # after socketio; db if you have one",
)
"""The lines that the app needs."""


@dataclass(frozen=True)
class Planned:
    """A file to be written, with its mode."""

    path: Path
    text: str
    mode: int = _PUBLIC


def plan(options: SetupOptions, *, gunicorn: str, directory: Path) -> list[Planned]:
    """Every file, in the order in which they are written.

    Args:
        gunicorn: the path of its program, for the units.
        directory: where the app lies, for the units.
    """
    token, digest = new_token()
    folder = options.folder
    planned = [
        Planned(folder / FILE_NAME, operator_file.text(options)),
        Planned(folder / f"{options.product}.token", token + "\n", files.PRIVATE),
        Planned(
            folder / f"{options.product}.env", processes.environment(options, digest), files.PRIVATE
        ),
    ]
    planned += [
        Planned(folder / f"{colour}.env", processes.colour_environment(colour))
        for colour in ("blue", "green")
    ]
    if options.scripts:
        planned += _scripts(folder / "scripts")
    if options.processes == "procfile":
        return [*planned, Planned(folder / "Procfile", processes.procfile(options))]
    units = processes.units(options, gunicorn, directory)
    return [*planned, *(Planned(folder / "systemd" / name, text) for name, text in units.items())]


def _scripts(folder: Path) -> list[Planned]:
    """The playbook's scripts, as they were installed with this package."""
    shipped_in = shipped.folder("scripts")
    return [
        Planned(folder / file.relative_to(shipped_in), file.read_text(), _mode(file))
        for file in sorted(shipped_in.rglob("*"))
        # In a checkout, what builds the project lies there too.
        if file.is_file() and file.relative_to(shipped_in).parts[0] != "dev"
    ]


def _mode(file: Path) -> int:
    return _EXECUTABLE if file.stat().st_mode & stat.S_IXUSR else _PUBLIC


def write(planned: list[Planned]) -> None:
    """Write all files, each whole or not at all; none replaces one that is there.

    Raises:
        ConfigurationError: one of them exists; then none is written.
        NotWritten: the folder cannot be written.
    """
    there = [str(file.path) for file in planned if os.path.lexists(file.path)]
    if there:
        raise ConfigurationError(
            f"{', '.join(there)} exists already and was left as it is; nothing was written. "
            "Move it away, or give another --folder."
        )
    for file in planned:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        files.write(file.path, file.text, file.mode)


def include_line(options: SetupOptions) -> str:
    """The line, or the command, that makes the load balancer read its configuration."""
    if options.balancer == "nginx":
        return f"include {options.state / 'mina.conf'};   # inside http {{ }} of nginx.conf"
    if options.balancer == "envoy":
        return f"envoy -c {options.state / 'envoy.json'}   # as the user who runs mina-ops"
    return f"haproxy -W -f {options.state / 'haproxy.cfg'}   # in the place of /etc/haproxy"


def next_steps(options: SetupOptions) -> list[str]:
    """What to type now, in this order."""
    folder, product = options.folder, options.product
    if options.processes == "systemd":
        start = [
            f"sudo cp {folder}/systemd/{product}-* /etc/systemd/system/",
            "sudo systemctl daemon-reload",
            f"sudo systemctl enable --now {' '.join(_unit_names(options))}",
        ]
    else:
        start = [f"honcho -f {folder}/Procfile start"]
    return [*start, "mina-ops traffic install", "mina-ops doctor", "mina-ops status"]


def _unit_names(options: SetupOptions) -> list[str]:
    return [
        f"{options.product}-{colour}-{index}.service"
        for colour in ("blue", "green")
        for index in range(options.instances)
    ]
