"""Both routes of a site brought to what mina-ops.toml asks for, and seen to serve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mina_ops.errors import TrafficError
from mina_ops.operator.system.patience import patient
from mina_ops.operator.traffic.gateway import status
from mina_ops.operator.traffic.gateway.api import ROUTE, Json, KubernetesApi
from mina_ops.operator.traffic.gateway.route import holds
from mina_ops.waiting import wait_until

_PROOF_SECONDS = 10.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Installing:
    """How the routes get into the cluster.

    Attributes:
        serves: whether the Gateway serves a route; raises TrafficError where nobody answers.
        gateway: its name.
    """

    api: KubernetesApi
    serves: Callable[[Json], bool]
    gateway: str

    def run(self, wanted: list[Json], *, force: bool) -> list[str]:
        """Apply what is not yet so; says what was done, [] if nothing had to.

        Raises:
            TrafficError: the API server refuses it, others own fields of it, or the Gateway does
                not serve it; in the last case its earlier routes are back.
        """
        before = {name: self.api.get(ROUTE, name) for name in map(_name, wanted)}
        done = []
        for one in wanted:
            found = before[_name(one)]
            if found is not None and holds(found, one) and not status.somebody_else(found):
                continue
            self.api.apply(ROUTE, one, force=force)
            done.append(f"applied HTTPRoute {_name(one)}")
        if done:
            done.append(self._prove(wanted, before))
        return done

    def _prove(self, wanted: list[Json], before: dict[str, Json | None]) -> str:
        try:
            is_served = wait_until(
                lambda: all(map(self.serves, wanted)), patient(_PROOF_SECONDS), pause=_POLL_SECONDS
            )
        except TrafficError as error:
            # Nobody is there who could have refused it: it is served once the Gateway is up.
            return f"{error} Start it."
        if is_served:
            return f"the Gateway serves {' and '.join(map(_name, wanted))}"
        found = [self.api.get(ROUTE, _name(one)) for one in wanted]
        why = [trouble for one in found if one for trouble in status.troubles(one, self.gateway)]
        self._put_back(before)
        raise TrafficError(
            f"The Gateway does not serve the new routes after {patient(_PROOF_SECONDS):g} s. "
            + (" ".join(why) or "Is the address that is asked the Gateway's?")
        )

    def _put_back(self, before: dict[str, Json | None]) -> None:
        """The rules that were there; a route that is new stays, for its controller to see."""
        for earlier in before.values():
            if earlier is not None and not status.somebody_else(earlier):
                kept = {key: earlier[key] for key in ("apiVersion", "kind", "spec")}
                parts = ("name", "labels", "annotations")
                metadata = {key: earlier["metadata"].get(key) or {} for key in parts}
                self.api.apply(ROUTE, {**kept, "metadata": metadata})


def with_version(wanted: Json, route: Json) -> Json:
    """What is applied only if the route is still as it was read."""
    version = {"resourceVersion": route["metadata"]["resourceVersion"]}
    return {**wanted, "metadata": {**wanted["metadata"], **version}}


def _name(route: Json) -> str:
    return str(route["metadata"]["name"])
