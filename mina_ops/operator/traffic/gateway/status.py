"""What the objects of a route say of themselves: who owns them, and what their controller says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mina_ops.operator.traffic.gateway.api import MANAGER

Json = Mapping[str, Any]
_NEEDED = ("Accepted", "ResolvedRefs")


def somebody_else(route: Json) -> str | None:
    """Who changed the route's rules since we did, and when; None: they are ours.

    The API server notes it: whoever changes `spec.rules` becomes its owner, and we are it no more.
    """
    owners = [
        entry
        for entry in route["metadata"].get("managedFields") or []
        if "f:rules" in (entry.get("fieldsV1") or {}).get("f:spec", {})
    ]
    if any(entry.get("manager") == MANAGER for entry in owners):
        return None
    last = max(owners, key=lambda entry: str(entry.get("time")), default=None)
    return "somebody" if last is None else f"{last.get('manager')} at {last.get('time')}"


def troubles(route: Json, gateway: str) -> list[str]:
    """Why the Gateway does not serve a route, in its controller's words; [] if it does."""
    name = route["metadata"]["name"]
    parents = (route.get("status") or {}).get("parents") or []
    ours = [one for one in parents if (one.get("parentRef") or {}).get("name") == gateway]
    if not ours:
        return [
            f"No controller has taken up HTTPRoute {name}: is there a Gateway {gateway}, and does "
            "its controller run?"
        ]
    return [trouble for parent in ours for trouble in _of_parent(parent, route)]


def _of_parent(parent: Json, route: Json) -> Iterator[str]:
    name, generation = route["metadata"]["name"], route["metadata"].get("generation", 0)
    told = {one.get("type"): one for one in parent.get("conditions") or []}
    for kind in _NEEDED:
        condition = told.get(kind)
        if condition is None:
            yield f"{parent.get('controllerName')} says nothing of {kind} of HTTPRoute {name}."
        elif condition.get("observedGeneration", generation) < generation:
            yield f"{parent.get('controllerName')} has not seen the present HTTPRoute {name} yet."
        elif condition.get("status") != "True":
            said = f"{condition.get('reason')}: {condition.get('message') or 'no more is said'}"
            yield f"HTTPRoute {name} is not {kind}, {said.rstrip('.')}."


def ready_pods(slices: list[dict[str, Any]]) -> int:
    """How many addresses take requests, of the EndpointSlices of one Service."""
    ready = {
        (address, port)
        for one in slices
        for endpoint in one.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready", True)
        for address in endpoint.get("addresses") or []
        for port in (p.get("port") for p in one.get("ports") or [{}])
    }
    return len(ready)
