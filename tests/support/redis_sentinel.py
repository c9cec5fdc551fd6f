"""A real Redis with a replica and a sentinel over both, on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from mina_ops.demo import programs
from mina_ops.demo.processes import HOST, Server, on_free_port, start
from mina_ops.demo.servers import start_redis
from tests.support.wait import eventually


@dataclass
class Replicated:
    """A Redis, its replica and a sentinel over both, which promotes when it is told to.

    Left to itself it would also do so where the master was only held up.
    """

    master: Server
    replica: Server
    sentinel: Server

    @property
    def url(self) -> str:
        """What `REDIS_URL` is set to."""
        return f"redis+sentinel://{HOST}:{self.sentinel.port}/mymaster/0"

    def fail_over(self) -> None:
        """Kill the master, and let the sentinel promote the replica."""
        self.master.kill()
        with redis.Redis(port=self.sentinel.port) as client:
            eventually(
                lambda: client.sentinel_failover("mymaster"),
                20.0,
                "the sentinel to find the replica fit",
                ignoring=(redis.ResponseError,),
            )
        with redis.Redis(port=self.replica.port) as client:
            eventually(lambda: client.role()[0] == b"master", 20.0, "the failover")


@contextmanager
def running_sentinel(folder: Path) -> Iterator[Replicated]:
    """A Redis with a replica that follows it, and a sentinel that knows both."""
    with ExitStack() as running:
        master = running.enter_context(start_redis(folder / "master"))
        replica = running.enter_context(
            start_redis(folder / "replica", options=["--replicaof", HOST, str(master.port)])
        )
        sentinel = running.enter_context(_start_sentinel(folder / "sentinel", master.port))
        with redis.Redis(port=sentinel.port) as client:
            eventually(
                lambda: client.sentinel_slaves("mymaster"),
                10.0,
                "the sentinel to know the replica",
                ignoring=(redis.RedisError,),
            )
        with redis.Redis(port=replica.port) as client:
            eventually(
                lambda: client.info("replication")["master_link_status"] == "up",
                10.0,
                "the replica to follow",
            )
        yield Replicated(master, replica, sentinel)


def _start_sentinel(folder: Path, master_port: int) -> Server:
    folder.mkdir()
    configuration = folder / "sentinel.conf"
    configuration.write_text(
        f"sentinel monitor mymaster {HOST} {master_port} 1\n"
        "sentinel down-after-milliseconds mymaster 120000\n"
        "sentinel failover-timeout mymaster 120000\n"
    )

    def on(port: int) -> Server:
        argv: list[str | Path] = [programs.redis_server(), configuration]
        argv += ["--port", str(port), "--bind", HOST, "--sentinel"]
        listens = Server.listens
        return start("sentinel", argv, folder, port=port, scheme="redis", ready=listens)

    return on_free_port(on)
