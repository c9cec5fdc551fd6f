from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from mina_ops.errors import Locked
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.release import freeze
from tests.operator.release.stand import TOKEN, Stand

NOBODY = OperatorSettings(Path("mina-ops.toml"))  # names no colour that could be asked


def test_without_a_freeze_a_release_may_start(tmp_path: Path) -> None:
    freeze.require_none(NOBODY, tmp_path)
    assert freeze.lift(tmp_path) is False


def test_a_freeze_says_who_and_why_until_it_is_lifted(tmp_path: Path) -> None:
    first = freeze.freeze(tmp_path, "a migration failed halfway")
    with pytest.raises(Locked, match=rf"{first.who}.*a migration failed halfway.*unfreeze"):
        freeze.require_none(NOBODY, tmp_path)
    again = freeze.freeze(tmp_path, "still")
    assert (again.why, again.since) == ("still", first.since)
    assert freeze.lift(tmp_path) is True
    freeze.require_none(NOBODY, tmp_path)


def test_a_damaged_freeze_still_freezes(tmp_path: Path) -> None:
    (tmp_path / "freeze.json").write_text("{")
    with pytest.raises(Locked, match="cannot be read"):
        freeze.require_none(NOBODY, tmp_path)


def test_a_freeze_made_at_the_app_holds_on_every_machine(stand: Stand) -> None:
    url = f"{stand.colours['blue'].url}/admin/freeze"
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    why = {"why": "the database is being moved", "who": "ana"}
    assert httpx.put(url, json=why, headers=bearer).status_code == 200
    refused = stand.run("release", "start", "v2")
    assert refused.code == 4
    assert "frozen by ana" in refused.err
    assert "the database is being moved" in stand.run("status").out
    assert json.loads(stand.run("release", "unfreeze", "--json").out)["lifted"] is True
    assert httpx.get(url, headers=bearer).json() == {"freeze": None}


def test_a_freeze_of_a_machine_is_told_to_the_app(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stand.run("release", "freeze", "--why", "holidays").code == 0
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    found = httpx.get(f"{stand.colours['green'].url}/admin/freeze", headers=bearer).json()
    assert found["freeze"]["why"] == "holidays"
    for server in stand.colours.values():
        server.pause()
    # They answer nothing, however long one waits.
    monkeypatch.setenv("MINA_OPS_PATIENCE", "0.5")
    try:
        lifted = stand.run("release", "unfreeze")
    finally:
        for server in stand.colours.values():
            server.resume()
    monkeypatch.setenv("MINA_OPS_PATIENCE", "10")
    assert "for this machine alone" in lifted.out
    assert stand.run("release", "unfreeze").code == 0


def test_while_frozen_no_release_starts_and_a_done_one_can_be_taken_back(stand: Stand) -> None:
    assert stand.run("release", "start", "v2").code == 0
    assert stand.run("release", "freeze", "--why", "holidays").code == 0
    refused = stand.run("release", "start", "v1")
    assert refused.code == 4
    assert "holidays" in refused.err
    assert stand.run("rollback").code == 0
    assert stand.run("release", "unfreeze").code == 0
    assert "were not frozen" in stand.run("release", "unfreeze").out
