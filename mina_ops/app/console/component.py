"""The console of one app: its page, its data, its acts; all below Flask."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mina_ops.app.component import Component
from mina_ops.app.console.acts import Acts
from mina_ops.app.console.document import Document
from mina_ops.app.console.viewers import Viewers, refuse_cross_site_write
from mina_ops.app.console.watching import Watching
from mina_ops.app.context import Context
from mina_ops.app.flags.component import Flags
from mina_ops.app.health.component import Health
from mina_ops.app.metrics.component import Metrics
from mina_ops.app.state.drain_state import DrainState
from mina_ops.app.web.answers import Answer, AnyMethod, Probe, ProbeRequest, wrong_method
from mina_ops.errors import ConfigurationError, InvalidRequest, NotFound
from mina_ops.page import assets

_LARGEST_BODY = 4096


class Console(Component):
    """`/mina-ops/`, and what lies below it.

    Args:
        health: says whether this process is ready, for the page of every process.
    """

    name = "console"

    def __init__(
        self, context: Context, health: Health, document: Document, acts: Acts, watching: Watching
    ) -> None:
        self._context = context
        self._health = health
        self._document = document
        self._acts = acts
        self._watching = watching
        self._ready = False
        self._path = _path(context.settings.console_path)
        self._viewers = Viewers(context, self._path or "/")

    def probes(self) -> Mapping[str, Probe]:
        if self._path is None:
            return {}
        below = AnyMethod(self._below, ("GET", "HEAD", "POST", "DELETE"))
        return {self._path.rstrip("/"): self._to_the_page, self._path: below}

    def beat(self, now: float) -> None:
        self._ready = self._health.readiness.answer().status == 200
        if self._context.presence.leads:
            # One process of a colour, by what it has in memory: in a fleet of 1,000, all of them
            # would have to read 1,000 reports each for that.
            environment = self._context.identity.environment
            self._watching.history.sample(now, environment, self._sessions)
        self._watching.beat(now)

    def report(self) -> Any:
        # Not asked here: readiness looks at what all peers report, this report among them.
        return {"ready": self._ready}

    def _sessions(self) -> int:
        drain = self._context.presence.summary().parts.get("drain") or {}
        return int(drain.get("remaining", 0))

    def _to_the_page(self, request: ProbeRequest) -> Answer:
        return Answer(308, headers={"Location": f"{request.path}/"})

    def _below(self, request: ProbeRequest) -> Answer:
        rest = request.path.removeprefix(self._path or "")
        method = request.environ.get("REQUEST_METHOD")
        if rest == "data":
            return self._data(request) if method in ("GET", "HEAD") else wrong_method(("GET",))
        if rest == "act":
            return self._act(request) if method == "POST" else wrong_method(("POST",))
        if rest == "session":
            return self._session(request, str(method))
        if method not in ("GET", "HEAD"):
            return wrong_method(("GET", "HEAD"))
        return _asset(rest, request)

    def _data(self, request: ProbeRequest) -> Answer:
        viewer = self._viewers.of(request.environ)
        self._watching.look()
        body, tag = self._document.for_viewer(viewer, _moment(request.query.get("after")))
        headers = {"ETag": f'"{tag}"', **assets.SECURITY_HEADERS}
        if viewer.renewable:
            headers["Set-Cookie"] = self._viewers.renewed(request.environ, viewer)
        if f'"{tag}"' in (request.header("If-None-Match") or ""):
            return Answer(304, headers=headers)
        return Answer(200, body, headers)

    def _act(self, request: ProbeRequest) -> Answer:
        viewer = self._viewers.of(request.environ)
        refuse_cross_site_write(request.environ)
        if viewer.token is not None:
            self._context.guard.allow(viewer.token, request.environ, None, writes=True)
        address = str(request.environ.get("REMOTE_ADDR", ""))
        return Answer(200, self._acts.do(viewer.actor, address, _json(request.environ)))

    def _session(self, request: ProbeRequest, method: str) -> Answer:
        if method == "DELETE":
            return Answer(204, headers={"Set-Cookie": self._viewers.ended()})
        if method != "POST":
            return wrong_method(("POST", "DELETE"))
        token = _json(request.environ).get("token")
        if not isinstance(token, str | None):
            raise InvalidRequest("'token' must be text.", field="token")
        cookie = self._viewers.enter(request.environ, token)
        return Answer(200, {"status": "entered"}, {"Set-Cookie": cookie})


def make_console(
    context: Context, health: Health, metrics: Metrics, flags: Flags, drain_state: DrainState
) -> Console:
    """The console over the features that it shows."""
    watching = Watching(context, flags)
    document = Document(context, metrics, flags, drain_state, watching)
    return Console(context, health, document, Acts(context, flags, watching), watching)


def _path(setting: str | None) -> str | None:
    if setting is None:
        return None
    parts = setting.strip("/")
    if not parts or not setting.startswith("/"):
        raise ConfigurationError(
            f"MINA_OPS_CONSOLE_PATH: {setting!r} must be a path such as /mina-ops/; empty: off."
        )
    return f"/{parts}/"


def _asset(rest: str, request: ProbeRequest) -> Answer:
    asset = assets.find(rest)
    if asset is None:
        raise NotFound("The console has no such page.")
    headers = asset.headers
    if headers["ETag"] in (request.header("If-None-Match") or ""):
        return Answer(304, headers=headers)
    return Answer(200, asset.body, headers, asset.content_type)


def _json(environ: Mapping[str, Any]) -> dict[str, Any]:
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > _LARGEST_BODY:
        raise InvalidRequest(f"The body is larger than {_LARGEST_BODY} bytes.")
    try:
        body = json.loads(environ["wsgi.input"].read(int(length)) or b"{}")
    except (ValueError, RecursionError) as exc:
        raise InvalidRequest("The body is not JSON.") from exc
    if not isinstance(body, dict):
        raise InvalidRequest("The body is not a JSON object.")
    return body


def _moment(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        raise InvalidRequest("'after' must be a Unix time.", field="after") from None
