"""An open page hears that another release serves than its own: by a header, and by an event."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from flask import Flask, render_template_string
from flask_socketio import SocketIO

from mina_ops import MinaOps
from tests.support.wait import eventually

pytestmark = pytest.mark.once

CHANGED = "X-Mina-Release-Changed"
POLL = "/socket.io/?EIO=4&transport=polling"


class Site:
    """Two apps that share a Redis: blue runs v1.0.0, green v2.0.0."""

    def __init__(self, redis_url: str) -> None:
        self.ops: list[MinaOps] = []
        self.apps = {c: self._app(c, v, redis_url) for c, v in (("blue", "v1"), ("green", "v2"))}

    def _app(self, colour: str, version: str, redis_url: str) -> Flask:
        app = Flask(__name__)
        app.config.update(ENVIRONMENT=colour, APP_VERSION=f"{version}.0.0", REDIS_URL=redis_url)
        app.config.update(MINA_OPS_DRAIN_ON_SIGTERM=False)
        self.ops.append(MinaOps(app, socketio=SocketIO(app, async_mode="threading")))

        @app.get("/")
        def page() -> str:
            return render_template_string('<meta name="mina-release" content="{{ mina_release }}">')

        return app

    def changed(self, colour: str, **headers: str) -> str | None:
        """What a page of a release is told in an answer of a colour."""
        named = {f"X-Mina-{name}": value for name, value in headers.items()}
        return self.apps[colour].test_client().get("/", headers=named).headers.get(CHANGED)

    def events(self, colour: str, query: str, **headers: str) -> list[object]:
        """The events that a client gets as it connects."""
        client = self.apps[colour].test_client()
        named = {f"X-Mina-{name}": value for name, value in headers.items()}
        opened = client.get(f"{POLL}{query}", headers=named).text
        session = f"{POLL}&sid={json.loads(opened[1:])['sid']}"
        client.post(session, data="40")
        packets = client.get(session).text.split("\x1e")
        assert packets[0].startswith("40{")
        return [json.loads(packet[2:]) for packet in packets[1:]]


@pytest.fixture
def site(redis_url: str) -> Iterator[Site]:
    site = Site(redis_url)
    yield site
    for ops in site.ops:
        ops.close()


def test_a_template_knows_its_release(site: Site) -> None:
    assert 'content="v1.0.0"' in site.apps["blue"].test_client().get("/").text


def test_a_page_of_another_release_is_told_which_one_answers(site: Site) -> None:
    assert site.changed("green") is None
    assert site.changed("green", Release="v2.0.0") is None
    assert site.changed("green", Release="v1.0.0") == "v2.0.0"


def test_a_page_that_is_kept_is_told_what_a_reload_would_lead_to(site: Site) -> None:
    assert site.changed("green") is None
    kept = {"Release": "v1.0.0", "Elsewhere": "1"}
    # It comes with the beats of both colours.
    eventually(lambda: site.changed("blue", **kept) == "v2.0.0")
    assert site.changed("blue", Release="v1.0.0") is None


def test_a_socket_of_another_release_gets_an_event_and_others_get_none(site: Site) -> None:
    assert site.events("green", "") == []
    assert site.events("green", "&mina_release=v2.0.0") == []
    told = ["release:changed", {"release": "v2.0.0", "page": "v1.0.0"}]
    assert site.events("green", "&mina_release=v1.0.0") == [told]
    eventually(lambda: site.events("blue", "&mina_release=v1.0.0", Elsewhere="1") == [told])


def test_no_release_that_a_page_names_breaks_an_answer(site: Site) -> None:
    for name in ("v1\u2013", "x" * 5000, "<script>", "a, b"):
        assert site.changed("green", Release=name) == "v2.0.0"
