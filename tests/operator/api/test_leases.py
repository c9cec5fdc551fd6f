"""One lease for a site, asked for through real apps that share a Redis, or share nothing."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import make_server

from mina_ops import MinaOps
from mina_ops.errors import AccessDenied, AppUnreachable
from mina_ops.operator.api.leases import Holder, Leases
from mina_ops.operator.config.settings import OperatorSettings, parse
from tests.support.wait import eventually

TOKEN = "the-token-of-the-tests"
ANA = Holder("id-of-ana", "switch", "ana", "one", 7)
BEN = Holder("id-of-ben", "release v2", "ben", "two", 8)


@contextmanager
def serving(colour: str, redis_url: str | None) -> Iterator[str]:
    """A colour of its own over a real socket; its address."""
    app = Flask(colour)
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    app.config.update(ENVIRONMENT=colour, MINA_OPS_ADMIN_TOKENS={"ci": digest})
    if redis_url:
        app.config["REDIS_URL"] = redis_url
    MinaOps(app)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        runtime = app.extensions["mina_ops"]
        runtime.heartbeat.stop()
        runtime.store.close()


Site = Callable[[str | None], OperatorSettings]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Makes a running site, whose colours share the Redis that is given."""
    monkeypatch.setenv("MINA_OPS_TOKEN", TOKEN)
    with ExitStack() as running:

        def make(redis_url: str | None) -> OperatorSettings:
            colours = {
                name: {"url": running.enter_context(serving(name, redis_url))}
                for name in ("blue", "green")
            }
            raw = {
                "public": {"url": "http://127.0.0.1:1"},
                "colours": colours,
                "traffic": {"driver": "command"},
            }
            return parse(raw, tmp_path / "mina-ops.toml")

        yield make


@pytest.mark.parametrize("shared", [True, False])
def test_two_controllers_of_a_site_never_hold_it_both(
    site: Site, shared: bool, request: pytest.FixtureRequest
) -> None:
    settings = site(request.getfixturevalue("redis_url") if shared else None)
    ana, ben = Leases(settings, "traffic"), Leases(settings, "traffic")
    assert ana.take(ANA) == ANA
    assert ana.take(ANA) == ANA, "a repeat is the same request"
    assert ben.take(BEN).user == "ana"
    held = ben.holder()
    assert held is not None
    assert (held.id, held.purpose, held.host, held.pid) == ("id-of-ana", "switch", "one", 7)
    assert (ana.renew(ANA), ben.renew(BEN)) == (True, False)
    ben.free(BEN.id)
    assert ana.renew(ANA), "nobody frees what another holds"
    ana.free(ANA.id)
    assert ana.holder() is None
    assert ben.take(BEN) == BEN


def test_a_holder_that_is_broken_or_dies_learns_that_it_holds_nothing(site: Site) -> None:
    leases = Leases(site(None), "traffic")
    leases.take(ANA)
    leases.free(ANA.id, breaking=True)
    assert not leases.renew(ANA)
    leases.take(replace(ANA, ttl_seconds=1))
    eventually(lambda: leases.take(BEN) == BEN)


def test_one_colour_that_is_away_does_not_matter_where_they_share_a_store(
    site: Site, redis_url: str
) -> None:
    settings = site(redis_url)
    assert Leases(settings, "traffic").take(ANA) == ANA
    assert Leases(without(settings, "blue"), "traffic").take(BEN).id == ANA.id


def without(settings: OperatorSettings, *away: str) -> OperatorSettings:
    """The same site, in which nothing listens at the addresses of these colours."""
    dead = {name: {"url": "http://127.0.0.1:1"} for name in away}
    return parse({**settings.raw, "colours": {**settings.raw["colours"], **dead}}, settings.file)


def test_it_says_why_no_colour_can_give_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = site(None)
    with pytest.raises(AppUnreachable, match="blue cannot be reached"):
        Leases(without(settings, "blue", "green"), "traffic").holder()
    monkeypatch.delenv("MINA_OPS_TOKEN")
    with pytest.raises(AccessDenied, match="Set MINA_OPS_TOKEN"):
        Leases(settings, "traffic").take(ANA)
