"""Real servers on loopback: Redis, nginx and gunicorn, each in a folder of its own.

Nothing is written outside the folder that the caller gives, and no root is needed. Each
function returns once the server answers; use the result in a `with` block to stop it.
"""

from __future__ import annotations

import http.client
import os
import pwd
import re
import socket
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from mina_ops.demo import programs
from mina_ops.demo.processes import HOST, Server, on_free_port, start
from mina_ops.errors import ToolMissing

GREEN_WORKERS = ("gevent", "eventlet")

_ANSWER_SECONDS = 2.0
_GEVENT_WEBSOCKET_WORKER = "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"
_FIRST_GUNICORN_WITHOUT_EVENTLET = (26, 0)


def start_redis(
    folder: Path,
    *,
    port: int | None = None,
    options: Sequence[str] = (),
    program: Path | None = None,
) -> Server:
    """An empty Redis without persistence, that answers PING.

    Args:
        folder: its working directory and log.
        port: default: a free one.
        options: more arguments of redis-server, such as `["--maxmemory", "64mb"]`.
        program: what to run, such as Valkey's server; default: redis-server.

    Raises:
        ToolMissing: no redis-server is installed.
        ServerFailed: it did not start; the message holds its log's end.
    """
    if port is None:
        return on_free_port(
            lambda free: start_redis(folder, port=free, options=options, program=program)
        )
    argv: list[str | Path] = [
        program or programs.redis_server(),
        "--port",
        str(port),
        "--bind",
        HOST,
        "--dir",
        folder,
    ]
    argv += ["--save", "", "--appendonly", "no", *options]
    return start("redis", argv, folder, port=port, scheme="redis", ready=_pongs)


def start_nginx(folder: Path, configuration: Path, *, port: int, name: str = "nginx") -> Server:
    """An nginx with this configuration, that accepts connections on `port`.

    The configuration decides what it listens on; `nginx_configuration` makes one that stays
    inside a folder. What it does not say about `daemon`, `pid` and `error_log` is set here.

    Raises:
        ToolMissing: no nginx is installed.
        AddressInUse: the port is taken; render for another one, see `on_free_port`.
        ServerFailed: it refused its configuration; the message holds its log's end.
    """
    text = configuration.read_text()
    defaults = {"daemon": "off", "pid": folder / f"{name}.pid", "error_log": "stderr"}
    missing = [
        f"{directive} {value};"
        for directive, value in defaults.items()
        if not re.search(rf"^\s*{directive}\s", text, re.M)
    ]
    argv: list[str | Path] = [
        programs.nginx(),
        "-p",
        folder,
        "-e",
        "stderr",
        "-c",
        configuration.absolute(),
    ]
    argv += ["-g", " ".join(missing)] if missing else []
    return start(name, argv, folder, port=port, ready=_accepts)


def nginx_configuration(folder: Path, http: str, *, workers: int = 2) -> str:
    """A whole nginx.conf around the content of an `http` block, all inside `folder`.

    Args:
        http: directives for the `http` block, such as `include /path/to/site.conf;`.
    """
    paths = "\n".join(
        f"    {kind}_temp_path {folder / 'temp' / kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "temp").mkdir(parents=True, exist_ok=True)
    # As root, nginx gives its workers to `nobody`, who may not even look into a private folder.
    user = f"user {pwd.getpwuid(os.geteuid()).pw_name};\n" if os.geteuid() == 0 else ""
    return (
        f"{user}daemon off;\npid {folder / 'nginx.pid'};\nerror_log stderr;\n"
        f"worker_processes {workers};\nevents {{ worker_connections 4096; }}\n"
        f"http {{\n{paths}\n    access_log off;\n{http}\n}}\n"
    )


def start_gunicorn(
    folder: Path,
    app: str,
    *,
    worker_class: str = "gevent",
    workers: int = 1,
    threads: int = 100,
    environment: Mapping[str, str] | None = None,
    port: int | None = None,
    also_at: str = "",
    import_from: Path | None = None,
    options: Sequence[str] = (),
    name: str = "gunicorn",
    ready_path: str = "/api/health/live",
) -> Server:
    """A gunicorn that serves `app` ("module:name") and answers HTTP requests.

    Args:
        folder: its working directory and log.
        threads: for `worker_class="gthread"`; other classes do not use it.
        environment: variables on top of this process's own.
        port: default: a free one.
        also_at: another address of loopback where it listens, at the same port.
        import_from: a folder on the module search path of the app.
        options: more arguments of gunicorn.
        ready_path: what is asked until any answer comes; a probe, so no metric counts it.

    Raises:
        ToolMissing: this environment has no gunicorn.
        ServerFailed: the app did not start; the message holds its log's end.
    """

    def start_on(chosen: int) -> Server:
        argv: list[str | Path] = [programs.gunicorn(), app, "--bind", f"{HOST}:{chosen}"]
        argv += ["--bind", f"{also_at}:{chosen}"] if also_at else []
        argv += ["--worker-class", worker_class, "--workers", str(workers)]
        argv += ["--threads", str(threads)] if worker_class == "gthread" else []
        argv += ["--pythonpath", str(import_from)] if import_from else []
        # Every gunicorn of a user would share one control socket, blue's and green's alike.
        argv += ["--no-control-socket"] if _has_control_socket() else []
        return start(
            name,
            [*argv, *options],
            folder,
            port=chosen,
            environment={"PYTHONUNBUFFERED": "1", **(environment or {})},
            ready=lambda server: answers(server, ready_path),
        )

    return start_on(port) if port is not None else on_free_port(start_on)


def websocket_worker(kind: str) -> str:
    """gunicorn's worker class of this kind whose websockets work in this environment.

    Args:
        kind: `gevent` or `eventlet`.

    Raises:
        ToolMissing: what it needs is not installed.
    """
    if find_spec(kind) is None:
        extra = "demo" if kind == "gevent" else "demo,compat"
        raise ToolMissing(f"{kind} is not installed. pip install 'mina-ops[{extra}]'.")
    if kind == "eventlet" and _gunicorn_version() >= _FIRST_GUNICORN_WITHOUT_EVENTLET:
        raise ToolMissing("This gunicorn has no eventlet workers. pip install 'gunicorn<26'.")
    # Where gevent-websocket is installed, Engine.IO takes websockets from its worker alone.
    if kind == "gevent" and find_spec("geventwebsocket"):
        return _GEVENT_WEBSOCKET_WORKER
    return kind


def answers(server: Server, path: str = "/") -> bool:
    """Whether an HTTP request to it gets any answer, whatever the status.

    Raises:
        OSError: no connection, or no answer within 2 seconds.
    """
    connection = http.client.HTTPConnection(HOST, server.port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        connection.getresponse().read()
    except http.client.HTTPException:
        return False
    finally:
        connection.close()
    return True


def _accepts(server: Server) -> bool:
    with socket.create_connection((HOST, server.port), timeout=_ANSWER_SECONDS):
        return True


def _pongs(server: Server) -> bool:
    with socket.create_connection((HOST, server.port), timeout=_ANSWER_SECONDS) as link:
        link.sendall(b"PING\r\n")
        # A password, if the options ask for one, is the caller's: NOAUTH is an answer too.
        return link.recv(64).startswith((b"+PONG", b"-NOAUTH"))


def _has_control_socket() -> bool:
    return _gunicorn_version() >= (25, 1)


def _gunicorn_version() -> tuple[int, int]:
    major, minor = version("gunicorn").split(".")[:2]
    return int(major), int(minor)
