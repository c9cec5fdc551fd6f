"""A stranger's machine: a wheel, an empty folder, and what quickstart.md puts there.

Three things cannot be here as the page has them, and are replaced: systemd by `./restart`, which
starts the Procfile's lines; names and ports by those of this machine; a release's minutes by
seconds.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from mina_ops.demo.processes import HOST, Server, free_port
from mina_ops.demo.servers import nginx_configuration, start_nginx
from tests.support.hosts import REPOSITORY
from tests.support.packages import UV, run
from tests.support.packages import install as install_packages
from tests.support.pages import Block
from tests.support.wait import eventually

COLOURS = ("blue", "green")
PLAN = """step_seconds = 1
patience_seconds = 0
watch_seconds = 1
no_data = "continue"
drain_grace_seconds = 2"""
RESTART = """#!/bin/sh
# restart COLOUR [VERSION]: what `systemctl restart` does, with the line of the Procfile
set -eu
cd "$(dirname "$0")"
[ -z "${2:-}" ] || sed -i "s/^APP_VERSION=.*/APP_VERSION=$2/" "$1.env"
if [ -f "$1.pid" ]; then
  process="/proc/$(cat "$1.pid")/status"
  kill "$(cat "$1.pid")" 2>/dev/null || true
  while grep -qs '^State:.[^Z]' "$process"; do sleep 0.05; done
fi
setsid sh -c "$(sed -n "s/^$1-0: //p" Procfile)" >>"$1.log" 2>&1 </dev/null &
echo $! >"$1.pid"
"""


@dataclass
class Site:
    """The folder, and everything that runs in it."""

    folder: Path
    redis: Server
    nginx: Path
    environment: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(
        default_factory=lambda: {
            name: free_port() for name in (*COLOURS, "public", "control", "other", "judge")
        }
    )
    running: ExitStack = field(default_factory=ExitStack)
    wheel: Path | None = None

    @property
    def bin(self) -> Path:
        """The programs of the environment that the wheel was installed into."""
        return self.folder.parent / "env" / "bin"

    def url(self, name: str) -> str:
        """Where a colour, or the site (`public`), answers."""
        return f"http://{HOST}:{self.ports[name]}"

    def type(self, line: str, code: int | None = 0) -> str:
        """What a line prints; it must end with that exit code, or None for any."""
        begun = time.monotonic()
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        print(f"{time.monotonic() - begun:6.1f} s  {line}")
        assert code in (None, done.returncode), f"ended with {done.returncode}: {done.stdout}"
        return done.stdout

    def begin(self, line: str) -> None:
        """A line that goes on while others are typed; what still runs at the end is ended."""
        process = subprocess.Popen(
            shlex.split(line, comments=True),
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.running.callback(process.wait, 30)
        self.running.callback(process.terminate)

    def add(self, *packages: str) -> None:
        """Install more into the environment, as the page tells for what is an extra."""
        install_packages(self.bin / "python", *packages)

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """A file in the folder."""
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(mode)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace what must stand in a file."""
        text = (self.folder / name).read_text()
        assert old in text, f"{name} has no {old!r}"
        self.write(name, text.replace(old, new, 1))

    def append(self, tables: str) -> None:
        """More tables for mina-ops.toml."""
        self.write("mina-ops.toml", f"{(self.folder / 'mina-ops.toml').read_text()}\n{tables}")

    def restart(self, colour: str, version: str = "") -> None:
        """Deploy a release to a colour, and wait until it is ready."""
        self.type(f"./restart {colour} {version}")
        url = f"{self.url(colour)}/api/health/ready"
        eventually(lambda: httpx.get(url).status_code == 200, 30, ignoring=(httpx.TransportError,))

    def serving(self) -> str:
        """The colour that a visitor meets."""
        return httpx.get(f"{self.url('public')}/api/health", timeout=10).headers[
            "X-Mina-Environment"
        ]

    def start_nginx(self) -> None:
        """nginx as root has it below /etc, but in a folder; then the one line is put into it."""
        folder = self.folder.parent / "nginx"
        folder.mkdir()
        own = f"    server {{ listen {HOST}:{self.ports['other']}; return 204; }}\n"
        main = folder / "nginx.conf"
        main.write_text(nginx_configuration(folder, own))
        self.running.callback(start_nginx(folder, main, port=self.ports["other"]).stop)
        main.write_text(
            nginx_configuration(folder, f"{own}    include {self.folder}/state/mina.conf;")
        )

    def stop(self) -> None:
        """End everything, in reverse."""
        self.running.close()
        for colour in COLOURS:
            with suppress(OSError, ValueError, psutil.Error):
                process = psutil.Process(int((self.folder / f"{colour}.pid").read_text()))
                process.send_signal(signal.SIGTERM)
                process.wait(30)

    def _environment(self) -> dict[str, str]:
        system = f"{self.nginx.parent}:{os.environ.get('PATH', '/usr/bin:/bin')}"
        token = self.folder / "mina.token"
        admin = {"ADMIN_TOKEN": token.read_text().strip()} if token.exists() else {}
        own = {"PATH": f"{self.bin}:{system}", "HOME": str(self.folder), "LANG": "C.UTF-8"}
        return own | admin | self.environment


def install(site: Site, line: str) -> None:
    """`pip install mina-ops ...` as the page has it, with the wheel in the place of the name.

    No constraints: what a stranger gets today.
    """
    folder = site.bin.parent
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation",
        "-w", str(folder.parent), str(REPOSITORY))  # fmt: skip
    site.wheel = next(folder.parent.glob("*.whl"))
    names = shlex.split(line)[2:]
    assert "mina-ops" in re.sub(r"\[.*?\]", "", " ".join(names)).split()
    wanted = [name.replace("mina-ops", str(site.wheel)) for name in names]
    run(str(UV), "venv", "-q", "--python", sys.executable, str(folder))
    site.add(*wanted)


def initialise(site: Site, line: str) -> None:
    """`mina-ops init` as the page has it, for the ports and folders of this machine."""
    options = ["--yes", "--scripts", "--processes", "procfile", "--instances", "1"]
    options += ["--redis", site.redis.url, "--state", str(site.folder / "state")]
    for colour in COLOURS:
        options += [f"--{colour}-port", str(site.ports[colour])]
    site.type(shlex.join([*shlex.split(replaced(site, line)), *options]))
    main = site.folder.parent / "nginx" / "nginx.conf"
    site.edit("mina-ops.toml", "[traffic.nginx]\n", f'[traffic.nginx]\nprogram = "{site.nginx}"\n'
              f'main = "{main}"\nprefix = "{main.parent}"\n'
              f'control = "{HOST}:{site.ports["control"]}"\n')  # fmt: skip
    site.edit("mina-ops.toml", "step_seconds = 600", PLAN)
    site.write("restart", RESTART, 0o755)


def replaced(site: Site, line: str) -> str:
    """The line with this machine's addresses, and seconds where the page has minutes."""
    for old, new in (
        ("http://127.0.0.1:8080", site.url("public")),
        ("https://mina-green.example.com", site.url("green")),
        ("https://mina.production.com", site.url("public")),
        ("http://127.0.0.1:5000", site.url("blue")),
        ("http://127.0.0.1:9180", site.url("control")),
        ("http://mina-judge:8090", site.url("judge")),
        (
            "judge canary --listen 0.0.0.0:8090",
            f"judge green --listen {HOST}:{site.ports['judge']}",
        ),
        ("/etc/mina-ops/", f"{site.folder}/"),
        ("--grace 30", "--grace 2"),
        ("mina-ops watch ", "mina-ops watch --rounds 1 "),
    ):
        line = line.replace(old, new)
    return line


def type_block(site: Site, block: Block, given: Mapping[str, Callable[[Site], None]]) -> list[str]:
    """What is wrong with a block: a line that fails, or prints something else than is shown."""
    faults = []
    for typed in block.typed():
        for begin, make in given.items():
            if typed.line.startswith(begin):
                make(site)
        if typed.line.startswith("pip install "):
            install(site, typed.line)
            continue
        if typed.line.startswith("mina-ops init "):
            initialise(site, typed.line)
            continue
        if typed.line.startswith("mina-ops judge "):
            site.begin(replaced(site, typed.line))
            eventually(lambda: _answers(site.url("judge")), 20, "no judge answers")
            continue
        refused = bool(typed.shown) and typed.shown[-1].startswith(("mina-ops: ", "Nothing to"))
        try:
            output = site.type(replaced(site, typed.line), None if refused else 0)
        except (AssertionError, subprocess.TimeoutExpired) as exc:
            faults.append(f"{block.where}: $ {typed.line}\n{exc}")
            continue
        if typed.shown and comparable(output) != comparable("\n".join(typed.shown)):
            shown = "\n".join(typed.shown)
            faults.append(f"{block.where}: $ {typed.line}\nprints\n{output}\nnot\n{shown}")
    return faults


_CHANGES = (
    (r"(?<= )(-|\d+\.\d+ %|\d+ ms)(?= |$)", "FIGURE"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?", "DATE"),
    (r"\d{8}-\d{6}", "DATE"),
    (r"\d\d:\d\d:\d\d", "TIME"),
    (r"\b\d+(\.\d+)? (ms|s)\b", r"N \2"),
    (r"\bprocess \d+", "process N"),
    (r"(?m)^.*, not yet: .*\n", ""),
    (r"(?m)^waits for:\n(  .*\n)+", "waits for: TRIGGERS\n"),
    (r"\b\d+ live connections?", "N live connections"),
    (r"of \d+ sent away \d+ have", "of N sent away N have"),
    (r"\b(\w+) on [\w.-]+, process", "SOMEBODY, process"),
    (r"\baborted by \w+", "aborted by SOMEBODY"),
    (r"[ \t]+", " "),
)


def comparable(text: str) -> list[str]:
    """The lines with placeholders for what changes from run to run; no line twice in a row.

    Of a JSON object the keys.
    """
    with suppress(ValueError):
        return sorted(json.loads(text))
    for pattern, name in _CHANGES:
        text = re.sub(pattern, name, text)
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return [line for n, line in enumerate(lines) if n == 0 or line != lines[n - 1]]


def _answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return bool(httpx.get(url).status_code)
    return False
