"""The play: the playbook's phases on a stage, before a crowd that counts what it loses."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx

from mina_ops.demo.api import REPLAY_FLAG
from mina_ops.demo.crowd import Crowd
from mina_ops.demo.figures import Figures, milliseconds
from mina_ops.demo.ledger import RedisLedger, tally
from mina_ops.demo.servers import GREEN_WORKERS
from mina_ops.demo.show import Show
from mina_ops.demo.stage import Stage
from mina_ops.demo.switching import SWITCH_SECONDS, Switcher
from mina_ops.demo.watching import Watching
from mina_ops.errors import AppUnhealthy, DrainTimedOut, MinaOpsError
from mina_ops.operator.api.client import AppClient
from mina_ops.operator.api.flags import FlagsClient
from mina_ops.operator.traffic import open_driver

OLD, NEW = "blue", "green"
CANARY_PERCENTS = (10, 25, 50)

_READY_SECONDS = 30.0
_CONNECTED_SECONDS = 60.0
_DRAIN_MARGIN_SECONDS = 15.0
_CATCH_UP_SECONDS = 60.0


@dataclass(frozen=True)
class Script:
    """How long and how large the play is; at scale 1 it takes a minute and a half."""

    clients: int = 220
    requests_per_second: float = 120.0
    seconds_scale: float = 1.0
    chunk_interval_ms: int = 2000
    second_act: bool = True
    worker: str = GREEN_WORKERS[0]

    @property
    def least_requests(self) -> int:
        """The last act waits until this many requests were sent."""
        return round(10_000 * self.seconds_scale * min(1.0, self.requests_per_second / 100))

    def seconds(self, at_scale_one: float) -> float:
        """A duration of the script, scaled."""
        return at_scale_one * self.seconds_scale


class Play:
    """One performance; `perform` plays it all and returns its figures."""

    def __init__(self, stage: Stage, script: Script, show: Show) -> None:
        self.stage = stage
        self.script = script
        self.show = show
        self.crowd = Crowd()
        self.switcher = Switcher(stage.settings.file)
        token = stage.keys.admin_token
        self.clients = {
            name: AppClient(name, colour.url, token=token)
            for name, colour in stage.settings.colours.items()
        }
        self.watching = Watching(stage, show, self.crowd, self.clients)
        self._drain_seconds: float | None = None

    def perform(self) -> tuple[Figures, MinaOpsError | None]:
        """Play every act; the figures, and the error that ended the play early, if one did."""
        acts = (
            self._check_new_colour,
            self._set_flags,
            self._canary,
            self._drain_old_colour,
            self._verify_new_colour,
            self._roll_back,
            self._go_forward_again,
        )
        problem: MinaOpsError | None = None
        with ExitStack() as running:
            running.enter_context(self.switcher)
            for client in self.clients.values():
                running.enter_context(client)
            try:
                self._gather_crowd(running)
                for act in acts:
                    act()
            except MinaOpsError as error:
                problem = error
            self._dismiss_crowd()
        return self._figures(), problem

    # -- the acts, in order ------------------------------------------------------------------

    def _gather_crowd(self, running: ExitStack) -> None:
        script, url = self.script, self.stage.settings.public_url
        self.show.act("The crowd: steady requests and streaming clients, all on blue")
        self.watching.split = open_driver(self.stage.settings).read().split.percent
        clients = {
            "url": url,
            "token": self.stage.keys.test_token,
            "session_id": self._create_session(),
            "clients": script.clients,
            "chunk_interval_ms": script.chunk_interval_ms,
        }
        folder = self.stage.folder / "crowd"
        kind = self.crowd.gather(running, folder, clients, script.requests_per_second)
        self.show.step(f"{script.clients} clients ({kind}), half websocket, half polling")
        self._await_clients("the clients did not all connect")
        self._hold(6)

    def _check_new_colour(self) -> None:
        self.show.act("1.3 and 2.1: warm up green, and ask for its health")
        for server in self.stage.instances[NEW]:
            with AppClient(f"{NEW} at {server.port}", server.url) as client:
                for path in ("/api/health", "/live", "/api/flags"):
                    client.request("GET", path)
                self._await_health(client)
        for path in ("/api/health", "/api/health/db", "/api/health/redis", "/api/health/openai"):
            status, body = self.clients[NEW].request("GET", path)
            self.show.step(f"GET {path}: {status} {_short(body)}")
        self._hold(3)

    def _set_flags(self) -> None:
        self.show.act("Feature flags: on for everybody who runs the new release")
        flags = FlagsClient(self.clients[NEW])
        self.watching.persist(lambda: flags.set(REPLAY_FLAG, {"enabled": True}))
        self.show.step(f'POST /admin/flags {{"key": "{REPLAY_FLAG}", "enabled": true}}')

        def is_on() -> bool:
            return REPLAY_FLAG in json.dumps(self.clients[NEW].request("GET", "/api/flags")[1])

        self.watching.until(is_on, 10.0, "green does not report the flag")
        self._hold(2)

    def _canary(self) -> None:
        self.show.act("Strategy 2: canary 10 -> 25 -> 50 -> 100")
        for percent in CANARY_PERCENTS:
            self._switch(OLD, NEW, "--canary", str(percent))
            self._hold(6)
        self._switch(OLD, NEW, "--canary", "100")
        self._hold(4)

    def _drain_old_colour(self) -> None:
        grace = max(2.0, self.script.seconds(20))
        self.show.act(f"3.1: drain blue, {grace:g} s of grace")
        client = self.clients[OLD]
        began = time.monotonic()
        self.watching.persist(lambda: client.begin_drain(grace))
        seen: list[int] = []

        def drained() -> bool:
            status = client.drain_status()
            count = status.active_connections
            if count is not None and (not seen or seen[-1] != count):
                seen.append(count)
                self.show.step(f"live sessions of blue: {count}")
            return status.state == "drained"

        self.watching.until(
            drained, grace + _DRAIN_MARGIN_SECONDS, "blue is not drained", DrainTimedOut
        )
        self._drain_seconds = round(time.monotonic() - began, 2)
        self.show.step(f"drained in {self._drain_seconds} s: {_falling(seen)}")
        self._await_clients("not all clients came back")
        self._hold(3)

    def _verify_new_colour(self) -> None:
        self.show.act("3.3: verify through the public address")
        self._expect_public(NEW)
        self._hold(4)

    def _roll_back(self) -> None:
        self.show.act("Scenario 1: roll back to blue at once")
        self.watching.persist(lambda: self.clients[OLD].cancel_drain())
        self._await_readiness(OLD)
        self._switch(NEW, OLD, "--instant")
        self._expect_public(OLD)
        self._hold(6)

    def _go_forward_again(self) -> None:
        self.show.act("And forward again")
        self._switch(OLD, NEW, "--instant")
        self._expect_public(NEW)
        self._hold(6)
        due = self.script.least_requests
        self.watching.until(
            lambda: self.crowd.count("load", "requests") >= due, _CATCH_UP_SECONDS, None
        )

    # -- what the acts are made of -----------------------------------------------------------

    def _hold(self, seconds_at_scale_one: float) -> None:
        self.watching.hold(self.script.seconds(seconds_at_scale_one))

    def _switch(self, source: str, target: str, *how: str) -> None:
        def wait(done: Callable[[], bool]) -> None:
            self.watching.until(done, SWITCH_SECONDS + 5, "mina-ops switch does not return")

        result = self.switcher.switch(source, target, *how, wait=wait)
        self.watching.split = result["after"]["percent"]
        command = " ".join(("mina-ops switch", source, target, *how))
        self.show.step(f"{command}: served after {result['milliseconds']:.1f} ms")

    def _expect_public(self, colour: str) -> None:
        with AppClient("the public address", self.stage.settings.public_url) as client:
            health = client.health()
        version = self.stage.settings.colours[colour].version
        self.show.step(
            f'GET /api/health: {{"version": "{health.version}", '
            f'"environment": "{health.environment}", "status": "{health.status}"}}'
        )
        if (health.environment, health.version) != (colour, version):
            raise AppUnhealthy(
                f"The public address answers {health.environment} {health.version}, not {colour} "
                f"{version}."
            )

    def _create_session(self) -> int:
        url = self.stage.settings.public_url
        # A route of the demo's own, not one of mina_ops, whose client would refuse the answer.
        bearer = {"Authorization": f"Bearer {self.stage.keys.test_token}"}
        with httpx.Client(base_url=url, headers=bearer, timeout=30) as client:
            body = {"title": "The crowd's session"}
            answer = client.post("/api/sessions", json=body)
        if answer.status_code != 201:
            said = f"{answer.status_code} for POST /api/sessions: {answer.text[:200]}"
            raise AppUnhealthy(f"The app answers {said}")
        return int(answer.json()["session_id"])

    def _await_health(self, client: AppClient) -> None:
        self.watching.until(
            lambda: client.health().healthy, _READY_SECONDS, f"{client.name} is not healthy"
        )

    def _await_readiness(self, colour: str) -> None:
        for server in self.stage.instances[colour]:
            with AppClient(f"{colour} at {server.port}", server.url) as client:
                self.watching.until(
                    lambda: client.ready().ready,
                    _READY_SECONDS,
                    f"{client.name} is not ready",
                )

    def _await_clients(self, otherwise: str) -> None:
        self.watching.until(
            lambda: self.crowd.count("clients", "connected") >= self.script.clients,
            _CONNECTED_SECONDS,
            otherwise,
        )

    # -- the end -------------------------------------------------------------------------------

    def _dismiss_crowd(self) -> None:
        self.show.act("The crowd goes: last requests, last acknowledgements")
        self.crowd.dismiss()
        for reason, count in self.crowd.failures().items():
            self.show.step(f"failed: {count} x {reason}")

    def _figures(self) -> Figures:
        chunks = tally(self.crowd.sent(), RedisLedger(self.stage.redis.url).handled())
        p50, most = milliseconds(self.switcher.milliseconds)
        return Figures(
            requests=self.crowd.count("load", "requests"),
            failed_requests=self.crowd.count("load", "failed"),
            clients=self.crowd.count("clients", "clients"),
            reconnected=self.crowd.count("clients", "reconnected"),
            chunks_sent=chunks.sent,
            chunks_lost=chunks.lost,
            chunks_duplicated=chunks.duplicated,
            switches=len(self.switcher.milliseconds),
            switch_ms_p50=p50,
            switch_ms_max=most,
            drain_seconds=self._drain_seconds,
        )


def _falling(counts: list[int]) -> str:
    """At most nine of the counts, from the first to the last: "247 -> 156 -> 78 -> 0"."""
    step = max(1, -(-len(counts) // 8))
    shown = counts[:-1][::step] + counts[-1:]
    return " -> ".join(map(str, shown))


def _short(body: Any) -> str:
    if not isinstance(body, dict):
        return ""
    shown = {key: value for key, value in body.items() if not isinstance(value, dict | list)}
    return json.dumps(dict(list(shown.items())[:4]))
