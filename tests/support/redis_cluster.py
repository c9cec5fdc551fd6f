"""A real Redis Cluster on loopback: masters that share the slots, replicas if asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from mina_ops.demo.processes import HOST, Server, on_free_port
from mina_ops.demo.servers import start_redis
from tests.support.wait import eventually

_SLOTS = 16_384
_BUS = 10_000  # a node's bus listens so far above its port
_JOINING_MS = 1_000
# Once all have joined, no failover comes of a node that is only held up.
_PATIENT_MS = 120_000
_FIRST_OUTGOING = 32_768


@dataclass(frozen=True)
class RedisCluster:
    """Running nodes; `replicas[n]` follows `masters[n]`, and takes its place when told to."""

    masters: list[Server]
    replicas: list[Server]

    @property
    def url(self) -> str:
        """What `REDIS_URL` is set to."""
        return f"redis+cluster://{HOST}:{self.masters[0].port}"

    def flush(self) -> None:
        """Empty every master."""
        for node in self.masters:
            with redis.Redis(port=node.port) as client:
                client.flushall()

    def holder(self, key: str) -> int:
        """The number of the master that holds a key."""
        with redis.Redis(port=self.masters[0].port) as client:
            slot = int(client.cluster("KEYSLOT", key))
        return slot * len(self.masters) // _SLOTS

    def take_over(self, number: int) -> None:
        """Make a replica the master of what it copies, whatever became of its master."""
        with redis.Redis(port=self.replicas[number].port) as client:
            client.cluster("FAILOVER", "TAKEOVER")
            eventually(lambda: client.role()[0] == b"master", 20.0, "the replica to take over")


@contextmanager
def running_cluster(folder: Path, *, replicated: bool = False) -> Iterator[RedisCluster]:
    """Three masters, each with a replica where `replicated`, that agree on who holds what."""
    with ExitStack() as running:

        def node(name: str) -> Server:
            return running.enter_context(on_free_port(lambda port: _start(folder / name, port)))

        masters = [node(f"master-{n}") for n in range(3)]
        replicas = [node(f"replica-{n}") for n in range(3)] if replicated else []
        cluster = RedisCluster(masters, replicas)
        _join(cluster)
        yield cluster


def _start(folder: Path, port: int) -> Server:
    # Both lie below what outgoing connections get.
    usable = port if port + _BUS < _FIRST_OUTGOING else port - _BUS
    options = ["--cluster-enabled", "yes", "--cluster-node-timeout", str(_JOINING_MS)]
    return start_redis(folder, port=usable, options=options)


def _join(cluster: RedisCluster) -> None:
    first = cluster.masters[0].port
    bounds = [n * _SLOTS // len(cluster.masters) for n in range(len(cluster.masters) + 1)]
    for number, node in enumerate(cluster.masters):
        with redis.Redis(port=node.port) as client:
            client.cluster("ADDSLOTS", *range(bounds[number], bounds[number + 1]))
            client.cluster("SET-CONFIG-EPOCH", str(number + 1))
    for node in [*cluster.masters, *cluster.replicas]:
        with redis.Redis(port=node.port) as client:
            client.cluster("MEET", HOST, str(first))
    everyone = [*cluster.masters, *cluster.replicas]
    eventually(lambda: all(_agrees(n, len(everyone)) for n in everyone), 20.0, "the cluster")
    for master, replica in zip(cluster.masters, cluster.replicas, strict=False):
        with redis.Redis(port=master.port) as client:
            name = client.cluster("MYID")
        with redis.Redis(port=replica.port) as client:
            client.cluster("REPLICATE", name)
    eventually(lambda: all(map(_follows, cluster.replicas)), 20.0, "the replicas to follow")
    for node in everyone:
        with redis.Redis(port=node.port) as client:
            client.config_set("cluster-node-timeout", _PATIENT_MS)


def _agrees(node: Server, count: int) -> bool:
    with redis.Redis(port=node.port) as client:
        found = client.cluster("INFO")
    return found["cluster_state"] == "ok" and int(found["cluster_known_nodes"]) == count


def _follows(replica: Server) -> bool:
    with redis.Redis(port=replica.port) as client:
        return bool(client.info("replication").get("master_link_status") == "up")
