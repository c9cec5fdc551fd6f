"""The traffic port on a Gateway of Kubernetes' Gateway API."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import partial

from mina_ops.errors import Locked, OperatorError, TrafficError
from mina_ops.operator.api.leases import Holder
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.system.patience import patient
from mina_ops.operator.traffic import mirror
from mina_ops.operator.traffic.base import Applied, Reading, TrafficDriver
from mina_ops.operator.traffic.gateway import access, status
from mina_ops.operator.traffic.gateway.api import ROUTE, Json, KubernetesApi
from mina_ops.operator.traffic.gateway.installing import Installing, with_version
from mina_ops.operator.traffic.gateway.lock import ClusterLock
from mina_ops.operator.traffic.gateway.options import GatewayOptions, read_options
from mina_ops.operator.traffic.gateway.proof import Proof
from mina_ops.operator.traffic.gateway.route import (
    Routes,
    holds,
    is_ours,
    split_of,
    testers_of,
)
from mina_ops.operator.traffic.gateway.services import Services
from mina_ops.operator.traffic.model import Split
from mina_ops.waiting import wait_until

_READ_SECONDS = 1.0
# Controllers of Gateways gather changes: Traefik for two seconds.
_SERVED_SECONDS = 10.0
_TURN_SECONDS = 10.0
_POLL_SECONDS = 0.02


class GatewayDriver(TrafficDriver):
    """One site behind a Gateway; see the port for what each method promises."""

    name = "gateway"

    def __init__(self, settings: OperatorSettings, options: GatewayOptions) -> None:
        self._options = options
        self._colours = list(settings.colours)
        self._routes = Routes(settings, options)
        self._api = KubernetesApi(partial(access.find, options))
        self._proof = Proof(options.ask or settings.public_url, settings.public_url)
        self._services = Services(settings, options, self._api)
        self._lock = ClusterLock(self._api, f"mina-ops-{options.route}")

    @classmethod
    def from_settings(cls, settings: OperatorSettings) -> GatewayDriver:
        """The driver for `[traffic.gateway]`; does no I/O."""
        return cls(settings, read_options(settings.section("traffic", "gateway")))

    def check(self) -> list[str]:
        """What is wrong with the routes, the Services behind them, and the Gateway's answers."""
        try:
            route, split = self._found()
            problems = self._services.problems()
            wanted = self._routes.split(split, self._testers()), self._routes.sessions()
            sessions = self._api.get(ROUTE, self._options.sessions_route)
            for found, made in zip((route, sessions), wanted, strict=True):
                if found is None or not holds(found, made):
                    problems.append(
                        f"HTTPRoute {made['metadata']['name']} is not what mina-ops.toml asks "
                        "for: run `mina-ops traffic install`."
                    )
            problems += status.troubles(route, self._options.gateway)
            if sessions is not None and not self._proof.serves(sessions):
                problems += status.troubles(sessions, self._options.gateway) or [
                    f"The Gateway does not serve HTTPRoute {self._options.sessions_route} as it is."
                ]
        except OperatorError as error:
            return [str(error)]
        try:
            self.read()
        except OperatorError as error:
            problems.append(str(error))
        return problems

    def read(self) -> Reading:
        """The split in the route, which the Gateway was asked whether it serves."""
        return self._settled(_READ_SECONDS)[1]

    def apply(self, split: Split) -> Applied:
        """One patch, then the Gateway is asked until it serves the new rules."""
        mirror.refuse(self.name, split.mirror)
        started = time.monotonic()
        deadline = started + patient(_TURN_SECONDS)
        while True:
            route, before = self._settled(_TURN_SECONDS)
            if before.split == split:
                return Applied(split, before, (time.monotonic() - started) * 1000)
            self._services.require_pods(split)
            # Of the secret that was installed: one that is missing keeps no traffic from moving.
            testers = testers_of(route, self._services.colours())
            wanted = self._routes.split(split, testers)
            patched = self._api.apply(ROUTE, with_version(wanted, route))
            if patched is not None:
                break
            if time.monotonic() > deadline:
                raise Locked(
                    f"Somebody else is changing HTTPRoute {self._options.route} all the time; see "
                    "`mina-ops lock`."
                )
        self._follow(patched, self._routes.split(before.split, testers))
        after = Reading(split, patched["metadata"]["generation"], detail=before.detail)
        return Applied(before.split, after, (time.monotonic() - started) * 1000)

    def plan(self, split: Split) -> list[str]:
        """What `apply` would do."""
        mirror.refuse(self.name, split.mirror)
        return [
            f"apply HTTPRoute {self._options.route} with {split.describe()} (server-side)",
            f"ask {self._proof.url} until the Gateway serves it",
        ]

    def render(self) -> dict[str, str]:
        """Both routes as manifests, with everybody on the first colour."""
        first = Split.all_to(self._colours[0], self._colours)
        made = self._routes.sessions(), self._routes.split(first, self._testers())
        return {
            f"HTTPRoute {one['metadata']['name']}": f"---\n{json.dumps(one, indent=1)}\n"
            for one in made
        }

    def install(self) -> list[str]:
        """Both routes applied and seen to serve; a first split if there is none."""
        return self._install(force=False)

    def take_over(self) -> list[str]:
        """As `install`, and fields that others own become ours."""
        return self._install(force=True)

    def hold(self, mine: Holder) -> Holder:
        """Hold the Lease beside the route."""
        return self._lock.hold(mine)

    def free(self, lease_id: str) -> None:
        """Give the Lease back."""
        self._lock.free(lease_id)

    def holder(self) -> Holder | None:
        """Who holds the Lease."""
        return self._lock.holder()

    def _testers(self) -> Mapping[str, str]:
        return self._options.tester_secret.values(self._colours)

    def _found(self) -> tuple[Json, Split]:
        """The route and its split, which must be ours."""
        name = self._options.route
        route = self._api.get(ROUTE, name)
        if route is None:
            raise TrafficError(
                f"There is no HTTPRoute {name} in {self._api.access.namespace}: run `mina-ops "
                "traffic install`."
            )
        split = split_of(route, self._colours)
        if who := status.somebody_else(route):
            raise TrafficError(
                f"The rules of HTTPRoute {name} were changed by {who}, so the Gateway does not "
                f"serve what mina-ops wrote ({split.describe()}). Ask them, then have that again "
                "with `mina-ops traffic install --force`."
            )
        return route, split

    def _settled(self, seconds: float) -> tuple[Json, Reading]:
        """The route and what it says, once the Gateway serves just that.

        Somebody else may have changed it a moment ago, so it is waited for, up to `seconds`.
        """

        def look() -> tuple[Json, Split, bool]:
            route, split = self._found()
            return route, split, self._proof.serves(route)

        route, split, is_served = wait_until(
            look, patient(seconds), pause=_POLL_SECONDS, enough=lambda found: found[2]
        )
        if not is_served:
            raise TrafficError(
                f"The Gateway at {self._proof.url} does not serve HTTPRoute "
                f"{self._options.route} as it is. {self._troubles(route)}"
            )
        return route, Reading(split, route["metadata"]["generation"])

    def _install(self, *, force: bool) -> list[str]:
        route = self._api.get(ROUTE, self._options.route)
        split = Split.all_to(self._colours[0], self._colours)
        if route is not None and is_ours(route):
            split = split_of(route, self._colours)
        wanted = [self._routes.sessions(), self._routes.split(split, self._testers())]
        installing = Installing(self._api, self._proof.serves, self._options.gateway)
        return installing.run(wanted, force=force)

    def _troubles(self, route: Json) -> str:
        found = status.troubles(route, self._options.gateway)
        return " ".join(found) or "Does that address lead to it? Run `mina-ops traffic check`."

    def _follow(self, patched: Json, earlier: Json) -> None:
        """Wait until the Gateway serves the patched route; put the earlier one back if not."""

        def not_served() -> Json | None:
            if self._serves(patched):
                return None
            found = self._api.get(ROUTE, self._options.route) or patched
            if found["metadata"]["generation"] != patched["metadata"]["generation"]:
                raise TrafficError(
                    f"Somebody else is changing HTTPRoute {self._options.route}, too; apply the "
                    "split again."
                )
            return found

        seconds = patient(_SERVED_SECONDS)
        found = wait_until(not_served, seconds, pause=_POLL_SECONDS, enough=lambda f: f is None)
        if found is not None:
            why = self._troubles(found)
            self._api.apply(ROUTE, earlier)
            raise TrafficError(
                f"The Gateway did not serve the new split within {seconds:g} s; the earlier one is "
                f"back. {why}"
            )

    def _serves(self, route: Json) -> bool:
        try:
            return self._proof.serves(route)
        except TrafficError:
            return False
