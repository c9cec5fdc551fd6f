"""The lock beside the route: a Lease in the cluster, which holds while the app is away.

Time is the API server's: its `Date`, in whole seconds. So two controllers whose clocks differ by
an hour agree on whether a holder's time is up.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from mina_ops.errors import TrafficError
from mina_ops.operator.api.leases import Holder
from mina_ops.operator.traffic.gateway.api import LEASE, KubernetesApi

_HOLDER = "mina-ops/holder"
_TRIES = 5

Json = dict[str, Any]


class ClusterLock:
    """One Lease; each step is atomic, since the API server takes no write to an older version.

    Every method raises TrafficError if the API server does not answer.

    Args:
        name: the Lease's.
    """

    def __init__(self, api: KubernetesApi, name: str) -> None:
        self._api = api
        self._name = name

    def hold(self, mine: Holder) -> Holder:
        """Who holds it now: `mine`, or somebody else. Again by the same id renews it."""
        for _ in range(_TRIES):
            found = self._api.get(LEASE, self._name)
            other = self._holder_of(found)
            if other is not None and other.id != mine.id:
                return other
            since = self._api.now if other is None else other.since
            wanted = self._lease(replace(mine, since=since), found)
            if self._write(found, wanted):
                return mine
        raise TrafficError(f"The Lease {self._name} changes all the time; try again.")

    def free(self, lease_id: str) -> None:
        """Give it back; nothing happens unless `lease_id` holds it."""
        for _ in range(_TRIES):
            found = self._api.get(LEASE, self._name)
            held = self._holder_of(found)
            if held is None or held.id != lease_id:
                return
            if self._write(found, self._lease(None, found)):
                return

    def holder(self) -> Holder | None:
        """Who holds it; None: nobody, or its time ran out."""
        return self._holder_of(self._api.get(LEASE, self._name))

    def _holder_of(self, lease: Json | None) -> Holder | None:
        spec = (lease or {}).get("spec") or {}
        if lease is None or not spec.get("holderIdentity"):
            return None
        try:
            until = _seconds(spec["renewTime"]) + float(spec["leaseDurationSeconds"])
            annotations = lease["metadata"].get("annotations") or {}
            held = Holder.from_json(json.loads(annotations.get(_HOLDER) or "null") or {})
        except (KeyError, TypeError, ValueError) as exc:
            raise TrafficError(
                f"The Lease {self._name} is not one of ours; remove it, or name the route anew."
            ) from exc
        return held if self._api.now < until else None

    def _lease(self, mine: Holder | None, found: Json | None) -> Json:
        metadata: Json = {"name": self._name}
        if found is not None:
            metadata["resourceVersion"] = found["metadata"]["resourceVersion"]
        spec: Json = {"holderIdentity": ""}
        if mine is not None:
            metadata["annotations"] = {_HOLDER: json.dumps(mine.to_json())}
            spec = {
                "holderIdentity": mine.id,
                "leaseDurationSeconds": max(1, round(mine.ttl_seconds)),
                "acquireTime": _text(mine.since),
                "renewTime": _text(self._api.now),
            }
        kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        return {**kind, "metadata": metadata, "spec": spec}

    def _write(self, found: Json | None, wanted: Json) -> bool:
        write = self._api.create if found is None else self._api.replace
        return write(LEASE, wanted) is not None


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
