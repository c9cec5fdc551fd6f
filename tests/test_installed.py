"""README's five lines and the quickstart as a stranger types them: a wheel, an empty folder.

What cannot be so here is replaced, and nothing else: systemd by the Procfile's lines, names and
ports by those of this machine, the release's hours by seconds.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from mina_ops.demo.processes import HOST, Server, free_port
from mina_ops.demo.servers import nginx_configuration, start_nginx, start_redis
from tests.support.hosts import REPOSITORY
from tests.support.wait import eventually

README, QUICKSTART = REPOSITORY / "README.md", REPOSITORY / "docs" / "quickstart.md"
PLAN = """step_seconds = 1
patience_seconds = 0
watch_seconds = 1
no_data = "continue"
drain_grace_seconds = 2"""

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]


@dataclass
class Stranger:
    """Somebody with an empty folder, a shell, and what `pip install mina-ops gunicorn` brought."""

    folder: Path
    bin: Path
    redis: Server
    port: int = field(default_factory=free_port)
    ports: dict[str, int] = field(default_factory=lambda: {c: free_port() for c in _COLOURS})
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def type(self, line: str) -> str:
        """What a line prints; it must end with 0."""
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"$ {line}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def start(self, colour: str) -> None:
        """The colour's lines of the Procfile, in the place of systemd; those before end."""
        for line in (self.folder / "Procfile").read_text().splitlines():
            name, _, command = line.partition(": ")
            if not name.startswith(f"{colour}-"):
                continue
            self.end(name)
            with (self.folder / f"{name}.log").open("ab") as log:
                self.running[name] = subprocess.Popen(
                    ["sh", "-c", command],
                    cwd=self.folder,
                    env=self._environment(),
                    stdout=log,
                    stderr=log,
                )
        url = f"http://{HOST}:{self.ports[colour]}/api/health/ready"
        eventually(lambda: httpx.get(url).status_code == 200, 30, ignoring=(httpx.TransportError,))

    def end(self, name: str) -> None:
        process = self.running.pop(name, None)
        if process is not None:
            process.terminate()
            process.wait(30)

    def _environment(self) -> dict[str, str]:
        system = os.environ.get("PATH", "/usr/bin:/bin")
        return {"PATH": f"{self.bin}:{system}", "HOME": str(self.folder), "LANG": "C.UTF-8"}


_COLOURS = ("blue", "green")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel; its dependencies are those of the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    _run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)])
    wheel = next(folder.glob("*.whl"))
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder / "env")])
    python = folder / "env" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q"]
    _run([*pip, "--no-deps", "--no-index", str(wheel)])
    site = next((folder / "env" / "lib").glob("python*/site-packages"))
    # A plain path: the .pth files there, and with them the checkout, are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    gunicorn = python.with_name("gunicorn")
    gunicorn.write_text(f"#!{python}\nfrom gunicorn.app.wsgiapp import run\nrun()\n")
    gunicorn.chmod(0o755)
    return python.parent


@pytest.fixture
def stranger(installed: Path, tmp_path: Path, nginx_binary: Path) -> Iterator[Stranger]:
    folder = tmp_path / "app"
    folder.mkdir()
    redis = start_redis(tmp_path / "redis")
    one = Stranger(folder, installed, redis)
    with ExitStack() as stack:
        stack.callback(redis.stop)
        stack.callback(lambda: [one.end(name) for name in list(one.running)])
        yield one


def test_a_wheel_an_empty_folder_and_the_pages_are_enough(
    stranger: Stranger, tmp_path: Path, nginx_binary: Path
) -> None:
    (stranger.folder / "app.py").write_text(_block(QUICKSTART, "python"))
    assert "site-packages" in stranger.type("python -c 'import mina_ops; print(mina_ops.__file__)'")
    steps = _sections(QUICKSTART)
    _init(stranger, _lines(steps["2. Everything else: one command"])[0])
    for colour in _COLOURS:
        stranger.start(colour)
    with _nginx(stranger, tmp_path / "nginx", nginx_binary):
        for line in _lines(steps["3. Start both colours"]):
            if not line.startswith("sudo "):
                stranger.type(line)
        for line in _lines(steps["4. Switch, and drain"]):
            stranger.type(line)
        assert _serving(stranger) == "green"
        stranger.type(_quoted(steps["5. Let a release judge itself"], "mina-ops drain"))
        dry, release = _lines(steps["5. Let a release judge itself"])
        assert "PUT /admin/releases/ID" in stranger.type(dry)
        _deploy(stranger, "blue", "v2.5.0")
        stranger.type(release)
        assert _serving(stranger) == "blue"
        # README begins where a release ends: blue serves, green waits.
        stranger.type("mina-ops drain green --cancel")
        fit, canary, instant, drain, back = _lines(_sections(README)["The playbook in five lines"])
        green = f"http://{HOST}:{stranger.ports['green']}"
        stranger.type(fit.replace("https://mina-green.example.com", green))
        stranger.type(canary)
        stranger.type(instant)
        assert _serving(stranger) == "green"
        stranger.type(drain)
        stranger.type(back)
        assert _serving(stranger) == "blue"


def _init(stranger: Stranger, line: str) -> None:
    public = f"http://{HOST}:{stranger.port}"
    options = [*shlex.split(line.replace("http://127.0.0.1:8080", public)), "--yes", "--scripts"]
    options += ["--processes", "procfile", "--instances", "1", "--redis", stranger.redis.url]
    options += ["--state", str(stranger.folder / "state")]
    for colour in _COLOURS:
        options += [f"--{colour}-port", str(stranger.ports[colour])]
    stranger.type(shlex.join(options))
    file = stranger.folder / "mina-ops.toml"
    text = file.read_text()
    assert "step_seconds = 600" in text
    file.write_text(text.replace("step_seconds = 600", PLAN))


def _nginx(stranger: Stranger, folder: Path, binary: Path) -> ExitStack:
    """nginx as root has it at /etc/nginx, but in a folder; running, and with the one line."""
    folder.mkdir()
    main = folder / "nginx.conf"
    other = free_port()
    own = f"    server {{ listen {HOST}:{other}; return 204; }}\n"
    main.write_text(nginx_configuration(folder, own))
    server = start_nginx(folder, main, port=other)
    include = f"    include {stranger.folder}/state/mina.conf;"
    main.write_text(nginx_configuration(folder, own + include))
    file = stranger.folder / "mina-ops.toml"
    where = f'program = "{binary}"\nmain = "{main}"\nprefix = "{folder}"\n'
    file.write_text(file.read_text().replace("[traffic.nginx]\n", f"[traffic.nginx]\n{where}"))
    stack = ExitStack()
    stack.callback(server.stop)
    return stack


def _deploy(stranger: Stranger, colour: str, version: str) -> None:
    """What the hook `start` of the systemd units does."""
    file = stranger.folder / f"{colour}.env"
    file.write_text(re.sub(r"APP_VERSION=.*", f"APP_VERSION={version}", file.read_text()))
    stranger.start(colour)


def _serving(stranger: Stranger) -> str:
    found = httpx.get(f"http://{HOST}:{stranger.port}/api/health", timeout=10)
    return found.headers["X-Mina-Environment"]


def _sections(page: Path) -> dict[str, str]:
    parts = re.split(r"^## ", page.read_text(), flags=re.M)[1:]
    return {part.partition("\n")[0]: part for part in parts}


def _lines(section: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def _quoted(section: str, begin: str) -> str:
    found = re.search(rf"`({re.escape(begin)}[^`]*)`", section)
    assert found is not None
    return found[1]


def _block(page: Path, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def _run(argv: Sequence[str]) -> None:
    done = subprocess.run(
        argv, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
