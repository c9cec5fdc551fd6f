"""`/admin/freeze` over HTTP."""

from __future__ import annotations

from flask.testing import FlaskClient

from tests.app.releases.test_routes import ask, client

__all__ = ["client"]
FREEZE = "/admin/freeze"


def test_a_freeze_is_there_until_it_is_lifted_and_goes_on_record(client: FlaskClient) -> None:
    assert ask(client, "GET", FREEZE) == (200, {"freeze": None})
    status, made = ask(client, "PUT", FREEZE, {"why": "a migration failed"})
    assert (status, made["freeze"]["who"]) == (200, "token:ci")
    again = ask(client, "PUT", FREEZE, {"why": "still", "who": "ana on a laptop"})[1]["freeze"]
    assert (again["why"], again["since"]) == ("still", made["freeze"]["since"])
    assert ask(client, "GET", FREEZE)[1]["freeze"] == again
    assert ask(client, "DELETE", FREEZE) == (200, {"freeze": None})
    assert ask(client, "DELETE", FREEZE) == (200, {"freeze": None})
    entries = ask(client, "GET", "/admin/audit")[1]["entries"]
    assert [entry["action"] for entry in entries] == ["freeze.lift", "freeze.set", "freeze.set"]


def test_a_freeze_with_an_unknown_field_is_refused_by_name(client: FlaskClient) -> None:
    status, problem = ask(client, "PUT", FREEZE, {"reason": "holidays"})
    assert (status, problem["field"]) == (400, "reason")


def test_nobody_freezes_without_a_token(client: FlaskClient) -> None:
    assert client.put(FREEZE, json={}).status_code == 401
    assert client.get(FREEZE).status_code == 401
