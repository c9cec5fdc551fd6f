"""Whatever is sent to the flag endpoints: a clear refusal that stores nothing, or a sound flag."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mina_ops.app.flags.evaluate import Undecided, decide
from mina_ops.app.flags.limits import FIELDS
from mina_ops.app.flags.model import from_bytes
from tests.app.flags.conftest import ANA
from tests.app.flags.test_model import fields
from tests.support.flag_site import TOKEN, FlagSite, flag_site

LARGEST_ANSWER = 4_000

# Text with NUL, lone surrogates, right-to-left marks; numbers that no float or int64 holds.
texts = st.text(st.characters(), max_size=20) | st.sampled_from(
    ["\0", "\ud800", "__proto__", "../../etc", "a" * 129, ":epoch", ":version", "-", "\u202e"]
)
numbers = st.sampled_from([10**400, -(10**400), 2**63, 1e308, float("nan"), float("inf"), -0.0])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | numbers | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
keys = st.sampled_from(["audio", "a", "0.-_"]) | texts | values
names = st.sampled_from([*FIELDS, "confirm_seconds"]) | texts
hostile = st.builds(
    lambda key, sound, odd: {**sound, **odd, "key": key},
    keys,
    fields | st.just({}),
    st.dictionaries(names, values, max_size=3),
)
bodies = hostile.map(json.dumps).map(str.encode) | st.binary(max_size=60)
sent = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlagSite]:
    with flag_site(tmp_path_factory.mktemp("site")) as running:
        yield running


def send(site: FlagSite, method: str, path: str, body: bytes = b"") -> tuple[int, str, bytes]:
    """Status, content type and body over a real connection."""
    connection = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=10)
    try:
        connection.request(method, path, body, {"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()
    finally:
        connection.close()


def stored(site: FlagSite) -> dict[str, bytes]:
    return dict(site.flags.cache.snapshot.known.entries)


@sent
@given(body=bodies)
@example(body=b'{"key": "a", "enabled": false, "confirm_seconds": 1' + b"0" * 400 + b"}")
@example(body=b'{"' + b"x" * 900_000 + b'": 1}')
@example(body=b'{"key": "' + b"x" * 900_000 + b'"}')
@example(body=b'{"key": "a", "colours": ["' + b"x" * 900_000 + b'"]}')
@example(body=b'{"key": "a", "rules": ' + b"[" * 900 + b"]" * 900 + b"}")
def test_a_body_is_refused_clearly_or_stored_soundly(site: FlagSite, body: bytes) -> None:
    before = stored(site)
    status, kind, answer = send(site, "POST", "/admin/flags", body)
    if status == 400:
        assert kind == "application/problem+json"
        assert json.loads(answer)["detail"]
        assert len(answer) < LARGEST_ANSWER
        assert stored(site) == before
        return
    assert status in (200, 201), answer
    key = json.loads(body)["key"]
    assert set(stored(site)) - set(before) <= {key}
    flag = from_bytes(stored(site)[key])
    assert flag.to_bytes() == stored(site)[key]
    shown = json.loads(send(site, "GET", f"/admin/flags/{quote(key)}")[2])
    assert {name: shown[name] for name in flag.to_json()} == flag.to_json()
    try:
        decide(flag, site.flags.place, "7", {"plan": "pro"})
    except Undecided:
        assert flag.on_unknown == "error"
    site.flags.editor.delete(key, ANA)


acts = st.sampled_from(
    ["-/undo", "a/undo", "-/disable-for-release", "-/import", "-/recover", "%00/undo", "-"]
)
members = st.sampled_from(["change", "release", "flags", "action", "confirm_seconds"]) | texts
acted = st.dictionaries(members, values | st.lists(hostile, max_size=2), max_size=3)


@sent
@given(act=acts, body=acted.map(json.dumps).map(str.encode) | st.binary(max_size=60))
@example(act="-/import", body=b'{"flags": [], "confirm_seconds": 1' + b"0" * 400 + b"}")
def test_no_act_fails_on_what_it_is_given(site: FlagSite, act: str, body: bytes) -> None:
    before = stored(site)
    status, _, answer = send(site, "POST", f"/admin/flags/{act}", body)
    assert status in (200, 202, 400, 404, 405, 409), answer
    if status != 200:
        assert stored(site) == before
        assert len(answer) < LARGEST_ANSWER
    for raw in stored(site).values():
        from_bytes(raw)


places = st.sampled_from(
    ["/admin/flags/{}", "/admin/flags/{}/history", "/admin/flags?prefix={}", "/api/flags?{}",
     "/admin/flags?release={}", "/admin/flags/-/history?limit={}", "/admin/flags/-/report?days={}"]
)  # fmt: skip


@sent
@given(place=places, text=st.binary(max_size=20) | numbers.map(lambda n: str(n)[:300].encode()))
def test_no_question_fails_on_what_it_is_given(site: FlagSite, place: str, text: bytes) -> None:
    status, _, answer = send(site, "GET", place.format(quote(text, safe="")))
    assert status in (200, 308, 400, 404), answer
    assert len(answer) < LARGEST_ANSWER


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_odd_revision_is_a_clear_answer(site: FlagSite, method: str) -> None:
    site.flags.editor.set("audio", {"enabled": True}, ANA)
    for header in ("", '"', "W/", "\xff", '"a", "b"', "*" * 8_000):
        connection = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=10)
        headers = {"Authorization": f"Bearer {TOKEN}", "If-Match": header}
        connection.request(method, "/admin/flags/audio", headers=headers)
        assert connection.getresponse().status in (200, 412)
        connection.close()
    assert "audio" in stored(site)
    site.flags.editor.delete("audio", ANA)
