"""Clusters whose failovers are made, so that none comes of a node that is only held up."""

from __future__ import annotations

import redis

from tests.support.redis_cluster import RedisCluster
from tests.support.wait import eventually

_PATIENCE_MS = 120_000


def keep_calm(cluster: RedisCluster) -> None:
    """Let no node take another one for dead."""
    for node in [*cluster.masters, *cluster.replicas]:
        with redis.Redis(port=node.port) as client:
            client.config_set("cluster-node-timeout", _PATIENCE_MS)


def take_over(cluster: RedisCluster, number: int) -> None:
    """Make a replica the master of what it copies, whatever became of its master."""
    with redis.Redis(port=cluster.replicas[number].port) as client:
        client.cluster("FAILOVER", "TAKEOVER")
        eventually(lambda: client.role()[0] == b"master", 20.0, "the replica to take over")
