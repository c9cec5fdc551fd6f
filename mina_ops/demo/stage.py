"""The servers: Redis, a stand-in for OpenAI, two instances of each colour, nginx; and a database.

All of it on free ports of loopback and in one folder, so any number of stages stand side by side.
"""

from __future__ import annotations

import hashlib
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mina_ops.demo import programs
from mina_ops.demo.front import TOKEN_FILE, start_traffic
from mina_ops.demo.processes import (
    HOST,
    Server,
    ServerFailed,
    on_free_port,
    start,
)
from mina_ops.demo.servers import (
    GREEN_WORKERS,
    answers,
    start_gunicorn,
    start_redis,
    websocket_worker,
)
from mina_ops.operator.config.settings import OperatorSettings

APP = "mina_ops.demo.app:create_app()"
INSTANCES = ("0", "1")
VERSIONS = {"blue": "v2.4.5", "green": "v2.5.0"}
AlsoAt = Callable[[str, str], str]
"""Colour and instance -> another address of loopback where that instance listens too.

By themselves all instances listen on 127.0.0.1 and differ by port alone. The engine of a cluster
tells pods apart by address and takes those for one. Linux has all of 127.0.0.0/8 for this; other
systems have 127.0.0.1 only.
"""

_PREPARE_SECONDS = 60.0
# Longer than the engine of a cluster keeps a connection that nobody uses (Traefik: 90 s). gunicorn
# closes its own after 2 s, and a POST that is sent just then gets 502 there. nginx opens one for
# each request and needs none of this, and gunicorn's gevent worker waits for idle ones at its end.
_AS_A_POD = ("--keep-alive", "95")


@dataclass(frozen=True)
class Keys:
    """The secrets of one stage; made anew for each."""

    secret_key: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    admin_token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    test_token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    passwords: Mapping[str, str] = field(
        default_factory=lambda: {name: secrets.token_urlsafe(9) for name in ("admin", "mina")},
        repr=False,
    )


@dataclass(frozen=True)
class Stage:
    """What stands on the stage; `instances` maps a colour to its servers, in order."""

    folder: Path
    settings: OperatorSettings
    keys: Keys
    redis: Server
    standin: Server
    instances: Mapping[str, list[Server]]
    nginx: Server
    worker: str
    also_at: AlsoAt | None = None

    @property
    def servers(self) -> tuple[Server, ...]:
        """Every server that has to live while the play goes on."""
        apps = [server for servers in self.instances.values() for server in servers]
        return (self.redis, self.standin, *apps, self.nginx)

    def start_anew(self, colour: str, more: Mapping[str, str] | None = None) -> None:
        """Start a colour's instances again on their ports; blocks until they answer.

        Args:
            more: variables beside those of `environment_of`, such as the demo's fault knobs.

        Raises:
            ServerFailed: one of them did not start.
        """
        environment = environment_of(self) | dict(more or {})
        servers = self.instances[colour]

        def start_again(number: int) -> None:
            before = servers[number]
            before.stop()
            servers[number] = start_app(
                self.folder / colour,
                environment,
                colour,
                INSTANCES[number],
                before.port,
                self.worker,
                self.also_at,
            )

        with ThreadPoolExecutor(len(servers)) as pool:
            list(pool.map(start_again, range(len(servers))))


@contextmanager
def standing(
    folder: Path,
    say: Callable[[str], None],
    environment: Mapping[str, str] | None = None,
    *,
    worker: str = GREEN_WORKERS[0],
    also_at: AlsoAt | None = None,
) -> Iterator[Stage]:
    """A whole stage, with all traffic on blue; everything is ended on the way out.

    Args:
        folder: an empty folder; logs, database and configuration go there.
        say: is told each step.
        environment: variables for the apps, such as the demo's fault knobs.
        worker: gunicorn's kind of worker, one of `GREEN_WORKERS`.
        also_at: gives each instance an address of its own beside 127.0.0.1.

    Raises:
        ToolMissing: a program is not installed.
        ServerFailed: a server did not start.
    """
    _require_programs(worker)
    keys = Keys()
    with ExitStack() as running:
        say("Redis, and a stand-in for OpenAI")
        redis = running.enter_context(start_redis(folder / "redis"))
        standin = running.enter_context(start_standin(folder / "openai"))
        shared = app_environment(folder, keys, standin, redis) | dict(environment or {})
        say("database: flask db upgrade, flask mina-ops upgrade")
        prepare_database(folder, shared, keys)
        colours = " and ".join(f"{colour} {release}" for colour, release in VERSIONS.items())
        say(f"two instances each of {colours}, under gunicorn and {worker}")

        def start_one(colour: str, instance: str) -> Server:
            return start_app(
                folder / colour, shared, colour, instance, worker=worker, also_at=also_at
            )

        instances = _start_instances(running, start_one)
        say("nginx")
        settings, nginx = start_traffic(folder, instances, VERSIONS)
        running.enter_context(nginx)
        write_secret(folder / TOKEN_FILE, keys.admin_token)
        yield Stage(folder, settings, keys, redis, standin, instances, nginx, worker, also_at)


def _require_programs(worker: str) -> None:
    """Say what is missing before anything is started."""
    websocket_worker(worker)
    for find in (programs.redis_server, programs.nginx, programs.gunicorn):
        find()


def start_standin(folder: Path) -> Server:
    """The stand-in for OpenAI's API, as a process of its own."""

    def start_on(port: int) -> Server:
        argv = [sys.executable, "-m", "mina_ops.demo.openai_standin", "--port", str(port)]
        return start("openai", argv, folder, port=port, ready=lambda s: answers(s, "/v1/models"))

    return on_free_port(start_on)


def app_environment(
    folder: Path, keys: Keys, standin: Server, redis: Server | None
) -> dict[str, str]:
    """The variables that all instances share."""
    digest = hashlib.sha256(keys.admin_token.encode()).hexdigest()
    return {
        "DATABASE_URL": f"sqlite:///{folder / 'mina.db'}",
        "REDIS_URL": redis.url if redis else "",
        "SECRET_KEY": keys.secret_key,
        "TEST_TOKEN": keys.test_token,
        "OPENAI_BASE_URL": f"{standin.url}/v1",
        "OPENAI_API_KEY": "demo",
        "MINA_OPS_ADMIN_TOKENS": f"demo:{digest}",
        "GUNICORN_CMD_ARGS": "",
        "NO_PROXY": HOST,
    }


def prepare_database(folder: Path, environment: Mapping[str, str], keys: Keys) -> None:
    """Bring the database up to date and create the users.

    Raises:
        ServerFailed: that failed; the message holds its log's end.
    """
    passwords = {f"DEMO_{name.upper()}_PASSWORD": word for name, word in keys.passwords.items()}
    passwords["DEMO_USER_PASSWORD"] = passwords.pop("DEMO_MINA_PASSWORD")
    argv = [sys.executable, "-m", "flask", "--app", "mina_ops.demo.app:create_app", "prepare"]
    with start("prepare", argv, folder, environment={**environment, **passwords}) as job:
        try:
            code = job.process.wait(_PREPARE_SECONDS)
        except subprocess.TimeoutExpired:
            code = -1
        if code != 0:
            raise ServerFailed(f"flask prepare failed: {job.log_tail()}")


def environment_of(stage: Stage) -> dict[str, str]:
    """The variables that all instances of a stage share."""
    return app_environment(stage.folder, stage.keys, stage.standin, stage.redis)


def start_app(
    folder: Path,
    environment: Mapping[str, str],
    colour: str,
    instance: str = "0",
    port: int | None = None,
    worker: str = GREEN_WORKERS[0],
    also_at: AlsoAt | None = None,
) -> Server:
    """One instance of a colour under gunicorn, that answers; on a free port by default."""
    own = {
        "ENVIRONMENT": colour,
        "APP_VERSION": VERSIONS[colour],
        "MINA_OPS_INSTANCE": instance,
        "MINA_OPS_FLAGS_FILE": str(folder / f"flags-{colour}-{instance}.json"),
    }
    return start_gunicorn(
        folder,
        APP,
        worker_class=websocket_worker(worker),
        environment={**environment, **own},
        port=port,
        also_at=also_at(colour, instance) if also_at else "",
        options=["--graceful-timeout", "5", *(_AS_A_POD if also_at else ())],
        name=f"{colour}-{instance}",
    )


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_text(f"{text}\n")


def _start_instances(
    running: ExitStack, start_one: Callable[[str, str], Server]
) -> Mapping[str, list[Server]]:
    instances: dict[str, list[Server]] = {colour: [] for colour in VERSIONS}
    running.callback(_end, instances)
    names = [(colour, instance) for colour in VERSIONS for instance in INSTANCES]
    with ThreadPoolExecutor(len(names)) as pool:
        futures = [pool.submit(start_one, *name) for name in names]
        try:
            for future in futures:
                future.result()
        finally:
            # Whatever interrupts this, what is just being started gets stopped too.
            wait(futures)
            for (colour, _), future in zip(names, futures, strict=True):
                if future.exception() is None:
                    instances[colour].append(future.result())
    return instances


def _end(instances: Mapping[str, list[Server]]) -> None:
    """Tell all of them to end, then wait for each."""
    servers = [server for colour in instances.values() for server in colour]
    for server in servers:
        if server.alive:
            server.process.terminate()
    for server in servers:
        server.stop()
