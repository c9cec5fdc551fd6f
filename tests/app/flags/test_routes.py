"""The flag endpoints, over the wire form that the playbook uses."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from mina_ops.app.flags import Flags
from tests.app.flags.conftest import BEARER

FORM = "application/x-www-form-urlencoded"


def post(client: FlaskClient, path: str, body: Any, **headers: str) -> TestResponse:
    data = body if isinstance(body, (str, bytes)) else json.dumps(body)
    return client.post(path, data=data, content_type=FORM, headers={**BEARER, **headers})


def test_the_playbooks_line_turns_a_flag_off(client: FlaskClient, flags: Flags) -> None:
    post(client, "/admin/flags", {"key": "enable_audio_replay", "enabled": True})
    answer = post(client, "/admin/flags", '{"key": "enable_audio_replay", "enabled": false}')
    assert answer.status_code == 200
    assert answer.json is not None
    assert (answer.json["key"], answer.json["enabled"]) == ("enable_audio_replay", False)
    assert flags.is_enabled("enable_audio_replay") is False


def test_a_new_flag_is_created_and_the_next_change_is_not(client: FlaskClient) -> None:
    assert post(client, "/admin/flags", {"key": "audio", "enabled": True}).status_code == 201
    assert post(client, "/admin/flags", {"key": "audio", "enabled": True}).status_code == 200


def test_a_kill_keeps_the_percentage_for_later(client: FlaskClient) -> None:
    post(client, "/admin/flags", {"key": "audio", "enabled": True, "rollout_percent": 12.5})
    post(client, "/admin/flags", {"key": "audio", "enabled": False})
    answer = client.get("/admin/flags/audio", headers=BEARER)
    assert answer.json is not None
    assert answer.json["rollout_percent"] == 12.5


def test_a_kill_is_confirmed_unless_told_otherwise(client: FlaskClient) -> None:
    on = post(client, "/admin/flags", {"key": "audio", "enabled": True}).json
    off = post(client, "/admin/flags", {"key": "audio", "enabled": False}).json
    assert on is not None
    assert off is not None
    assert "confirmed" not in on
    assert (off["confirmed"], off["waiting_for"]) == (True, [])
    assert len(off["applied_by"]) == 1
    post(client, "/admin/flags", {"key": "audio", "enabled": True})
    body = {"key": "audio", "enabled": False, "confirm_seconds": 0}
    answer = post(client, "/admin/flags", body).json
    assert answer is not None
    assert "confirmed" not in answer


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("", "key"),
        ("{}", "key"),
        ("[]", None),
        ("null", None),
        ("{", None),
        (b"\xff\xfe", None),
        ("[" * 100_000, None),
        ('{"key": "audio", "enabled": "yes"}', "enabled"),
        ('{"key": "audio", "enabled": NaN}', "enabled"),
        ('{"key": "audio", "rollout_percent": 1e999}', "rollout_percent"),
        ('{"key": "audio", "percent": 10}', "percent"),
        ('{"key": "../etc", "enabled": true}', "key"),
        ('{"key": "a\\u0000", "enabled": true}', "key"),
        ('{"key": {"$ne": 1}, "enabled": true}', "key"),
        ('{"key": "audio", "owner": "\\ud800"}', "owner"),
        ('{"key": "audio", "confirm_seconds": 31}', "confirm_seconds"),
        ('{"key": "audio", "confirm_seconds": -1}', "confirm_seconds"),
        ('{"key": "audio", "confirm_seconds": true}', "confirm_seconds"),
    ],
)
def test_a_hostile_body_is_a_clear_400_and_stores_nothing(
    client: FlaskClient, flags: Flags, body: str | bytes, field: str | None
) -> None:
    answer = post(client, "/admin/flags", body)
    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"
    assert answer.json is not None
    assert answer.json.get("field") == field
    assert len(answer.data) < 2_000
    assert flags.editor.flags() == []
    assert flags.cache.snapshot.known.entries == {}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin/flags"),
        ("POST", "/admin/flags"),
        ("GET", "/admin/flags/audio"),
        ("DELETE", "/admin/flags/audio"),
        ("GET", "/admin/flags/audio/history"),
        ("POST", "/admin/flags/audio/undo"),
        ("GET", "/admin/flags/-/history"),
        ("POST", "/admin/flags/-/undo"),
        ("POST", "/admin/flags/-/disable-for-release"),
        ("GET", "/admin/flags/-/export"),
        ("POST", "/admin/flags/-/import"),
        ("GET", "/admin/flags/-/report"),
        ("POST", "/admin/flags/-/recover"),
    ],
)
def test_only_admins_may_look_or_act(client: FlaskClient, method: str, path: str) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_if_match_lets_only_the_reader_of_the_newest_state_write(client: FlaskClient) -> None:
    post(client, "/admin/flags", {"key": "audio", "enabled": True})
    tag = client.get("/admin/flags/audio", headers=BEARER).headers["ETag"]
    first = post(client, "/admin/flags", {"key": "audio", "owner": "ana"}, **{"If-Match": tag})
    second = post(client, "/admin/flags", {"key": "audio", "owner": "ben"}, **{"If-Match": tag})
    assert (first.status_code, second.status_code) == (200, 412)
    assert first.headers["ETag"] != tag
    gone = client.delete("/admin/flags/audio", headers={**BEARER, "If-Match": tag})
    assert gone.status_code == 412
    several = {**BEARER, "If-Match": f"{tag}, W/{first.headers['ETag']}"}
    assert client.delete("/admin/flags/audio", headers=several).status_code == 200
    nothing = client.delete("/admin/flags/audio", headers={**BEARER, "If-Match": "*"})
    assert nothing.status_code == 404


def test_a_deleted_flag_is_gone_and_comes_back_by_undo(client: FlaskClient) -> None:
    post(client, "/admin/flags", {"key": "audio", "enabled": True, "rollout_percent": 25})
    held = client.get("/admin/flags/audio", headers=BEARER)
    assert client.delete("/admin/flags/audio", headers=BEARER).status_code == 200
    assert client.get("/admin/flags/audio", headers=BEARER).status_code == 404
    assert client.delete("/admin/flags/audio", headers=BEARER).status_code == 404
    assert post(client, "/admin/flags/audio/undo", {}).status_code == 200
    again = client.get("/admin/flags/audio", headers=BEARER)
    assert again.headers["ETag"] == held.headers["ETag"]


def test_history_says_who_did_what_from_where(client: FlaskClient) -> None:
    post(client, "/admin/flags", {"key": "audio", "enabled": True}, **{"X-Request-ID": "r-1"})
    answer = client.get("/admin/flags/audio/history", headers=BEARER).json
    assert answer is not None
    change = answer["changes"][0]
    assert (change["actor"], change["address"]) == ("token:ci", "127.0.0.1")
    assert (change["correlation_id"], change["action"]) == ("r-1", "flag.set")
    assert change["before"] == {"audio": None}
    assert change["after"] == {"audio": {"key": "audio", "enabled": True}}


def test_a_release_is_turned_off_and_undone_by_the_changes_id(client: FlaskClient) -> None:
    for key in ("one", "two"):
        post(client, "/admin/flags", {"key": key, "enabled": True, "release": "v2.5.0"})
    off = post(client, "/admin/flags/-/disable-for-release", {"release": "v2.5.0"})
    assert off.json is not None
    assert sorted(off.json["changed"]) == ["one", "two"]
    assert off.json["confirmed"] is True
    history = client.get("/admin/flags/-/history?limit=1", headers=BEARER).json
    assert history is not None
    back = post(client, "/admin/flags/-/undo", {"change": history["changes"][0]["id"]})
    assert back.json is not None
    assert all(flag["enabled"] for flag in back.json["changed"].values())


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/admin/flags/-/disable-for-release", {}, "release"),
        ("/admin/flags/-/undo", {}, "change"),
        ("/admin/flags/-/import", {}, "flags"),
        ("/admin/flags/-/import", {"flags": [7]}, "flags"),
        ("/admin/flags/-/import", {"flags": [{"key": "a", "enabled": 1}]}, "enabled"),
        ("/admin/flags/-/recover", {"action": "panic"}, "action"),
        ("/admin/flags/audio/undo", {"change": 7}, "change"),
    ],
)
def test_each_act_names_the_field_that_is_wrong(
    client: FlaskClient, path: str, body: dict[str, Any], field: str
) -> None:
    answer = post(client, path, body)
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["field"] == field


def test_an_export_is_imported_elsewhere_to_the_byte(
    client: FlaskClient, make_app: Callable[..., Flask]
) -> None:
    post(client, "/admin/flags", {"key": "audio", "enabled": True, "rollout_percent": 12.345})
    post(client, "/admin/flags", {"key": "theme", "variants": {"dark": {"bg": "#000"}}})
    exported = client.get("/admin/flags/-/export", headers=BEARER).json
    other = make_app().test_client()
    assert post(other, "/admin/flags/-/import", exported).status_code == 200
    again = other.get("/admin/flags/-/export", headers=BEARER).json
    assert exported is not None
    assert again is not None
    assert again["flags"] == exported["flags"]


def test_a_list_may_be_narrowed(client: FlaskClient) -> None:
    for key, release in (("audio.one", "v1"), ("audio.two", "v2"), ("theme", "v2")):
        post(client, "/admin/flags", {"key": key, "release": release})
    found = client.get("/admin/flags?prefix=audio.&release=v2", headers=BEARER).json
    assert found is not None
    assert [flag["key"] for flag in found["flags"]] == ["audio.two"]


def test_a_caller_asks_again_only_for_what_changed(client: FlaskClient) -> None:
    first = client.get("/api/flags")
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert first.headers["Vary"] == "Cookie, Authorization"
    unchanged = client.get("/api/flags", headers={"If-None-Match": first.headers["ETag"]})
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    post(client, "/admin/flags", {"key": "audio", "enabled": True})
    changed = client.get("/api/flags", headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert changed.json is not None
    assert changed.json["flags"] == {"audio": True}


def test_callers_learn_their_answers_and_nothing_of_the_lists(client: FlaskClient) -> None:
    post(client, "/admin/flags", {"key": "audio", "enabled": True, "allow": ["someone"]})
    assert b"someone" not in client.get("/api/flags").data


def test_the_report_names_what_code_asks_for_in_vain(client: FlaskClient, flags: Flags) -> None:
    flags.is_enabled("typo")
    post(client, "/admin/flags", {"key": "audio", "enabled": True, "expires": "2020-01-01"})
    answer = client.get("/admin/flags/-/report", headers=BEARER).json
    assert answer is not None
    kinds = {(found["key"], found["kind"]) for found in answer["findings"]}
    assert kinds == {("typo", "unknown"), ("audio", "expired"), ("audio", "unowned")}


def test_a_cross_site_browser_may_not_write(app: Flask, client: FlaskClient) -> None:
    from flask_login import LoginManager, UserMixin, login_user

    class Admin(UserMixin):
        id = "1"
        is_admin = True

    app.secret_key = "k"
    LoginManager(app).user_loader(lambda _: Admin())
    app.add_url_rule("/login", view_func=lambda: str(login_user(Admin())))
    client.get("/login")
    body = '{"key": "audio", "enabled": true}'
    for headers, status in (
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({}, 200),
    ):
        assert client.post("/admin/flags", data=body, headers=headers).status_code == status


def test_every_path_answers_a_wrong_method_with_405(client: FlaskClient) -> None:
    answer = client.put("/admin/flags", headers=BEARER)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


def test_a_body_that_is_too_large_is_413_and_stores_nothing(
    client: FlaskClient, flags: Flags
) -> None:
    answer = post(client, "/admin/flags", '{"key": "audio", "owner": "' + "x" * 2_000_000 + '"}')
    assert answer.status_code == 413
    assert flags.editor.flags() == []


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/admin/flags?prefx=a", "prefx"),
        ("/admin/flags/-/history?limit=0", "limit"),
        ("/admin/flags/-/history?limit=1e1", "limit"),
        ("/admin/flags/-/report?days=-1", "days"),
        ("/admin/flags/-/report?days=nan", "days"),
    ],
)
def test_a_query_that_makes_no_sense_is_400_by_its_name(
    client: FlaskClient, path: str, field: str
) -> None:
    answer = client.get(path, headers=BEARER)
    assert (answer.status_code, (answer.json or {}).get("field")) == (400, field)
