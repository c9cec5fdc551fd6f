"""Run a host app of the tests as a process of its own, under any server that we support."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from mina_ops.demo.processes import HOST, Server, on_free_port, start
from mina_ops.demo.servers import answers, start_gunicorn
from tests.support.needs import need_worker

REPOSITORY = Path(__file__).parents[2]
READY_PATH = "/api/health/live"
_MODES = {"gevent": "gevent", "gevent-websocket": "gevent", "eventlet": "eventlet"}
_WORKER_CLASSES = {"gevent-websocket": "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"}


class Hosts:
    """Starts hosts in a folder and ends them all; what the fixture `start_host` gives.

    Call it: `start_host("tests.app.health.host:app", worker="gevent", environment={...})`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._running = ExitStack()
        self._servers: list[Server] = []

    def __call__(
        self,
        app: str,
        *,
        worker: str = "gthread",
        workers: int = 1,
        threads: int = 100,
        environment: Mapping[str, str] | None = None,
        port: int | None = None,
        options: Sequence[str] = (),
        ready_path: str = READY_PATH,
    ) -> Server:
        """A host process that answers requests; the test is skipped if `worker` cannot run.

        The host finds its Socket.IO mode in the environment: `ASYNC_MODE` is `threading`,
        `gevent` or `eventlet`, to be given as `SocketIO(async_mode=...)`.

        Args:
            app: "module:name", importable from the repository, such as "tests.app.drain.host:app".
                Under `socketio.run` the module must also have a `socketio`.
            worker: `sync`, `gthread`, `gevent`, `gevent-websocket` or `eventlet` under
                gunicorn; `socketio.run` for Flask-SocketIO's own server, in the mode that
                `environment` names.
            workers: gunicorn's processes.
            threads: of each `gthread` worker.
            environment: variables on top of the test's own.
            port: default: a free one.
            options: more arguments of gunicorn.
            ready_path: asked until any answer comes.
        """
        mode = _MODES.get(worker, "threading")
        variables = {"ASYNC_MODE": mode, **(environment or {})}
        name = f"host-{next(self._numbers)}"
        if worker == "socketio.run":
            server = self._run_socketio(app, name, variables, port, ready_path)
        else:
            need_worker(worker)
            server = start_gunicorn(
                self._folder,
                app,
                worker_class=_WORKER_CLASSES.get(worker, worker),
                workers=workers,
                threads=threads,
                environment=variables,
                port=port,
                import_from=REPOSITORY,
                options=options,
                name=name,
                ready_path=ready_path,
            )
        self._servers.append(server)
        return self._running.enter_context(server)

    def _run_socketio(
        self, app: str, name: str, variables: dict[str, str], port: int | None, ready_path: str
    ) -> Server:
        if variables["ASYNC_MODE"] != "threading":
            need_worker(variables["ASYNC_MODE"])

        def start_on(chosen: int) -> Server:
            return start(
                name,
                [sys.executable, "-m", "tests.support.run_socketio", app, HOST, str(chosen)],
                self._folder,
                port=chosen,
                environment={
                    "PYTHONUNBUFFERED": "1",
                    "PYTHONPATH": str(REPOSITORY),
                    **variables,
                },
                ready=lambda server: answers(server, ready_path),
            )

        return start_on(port) if port is not None else on_free_port(start_on)

    def stop_all(self) -> None:
        """End every host that it started, at once.

        A test whose subject is an orderly end has seen it by then, and one with clients would wait
        here for them to leave.
        """
        for server in self._servers:
            server.kill()
        self._running.close()


def running_hosts(folder: Path) -> Iterator[Hosts]:
    """The body of the fixture: a starter of hosts, all ended afterwards."""
    hosts = Hosts(folder)
    try:
        yield hosts
    finally:
        hosts.stop_all()
