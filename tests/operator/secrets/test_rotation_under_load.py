"""Secrets are rotated under load, with the Flask and the worker of either environment: no failed
request, no lost session, nothing printed."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from mina_ops.demo.processes import Server
from mina_ops.operator.database.connection.connect import parse
from mina_ops.operator.secrets import redis_user as secret_redis
from tests.operator.database.conftest import ask
from tests.support.hosts import Hosts
from tests.support.rotation import RELOADS_CUT, TOKEN, Load, Rig, accepted, standing_rig
from tests.support.wait import eventually


@pytest.fixture
def rig(
    tmp_path: Path,
    database_url: str,
    own_redis: Server,
    start_host: Hosts,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Rig]:
    with standing_rig(tmp_path, database_url, own_redis, start_host, monkeypatch) as found:
        yield found


@pytest.mark.integration
def test_rotation_under_load_loses_no_request_and_no_session(rig: Rig) -> None:
    before = rig.secrets()
    with Load(rig.hosts) as load:
        eventually(lambda: load.requests > 20, 20)
        done = rig.rotate("--all", "--force", "--json")
        assert done.exit_code == 0, done.output
        mark = load.requests
        eventually(lambda: load.requests > max(mark + 40, 100), 20)
    assert load.failures == []
    assert RELOADS_CUT or load.cut == 0

    after = rig.secrets()
    assert after["OTHER"] == "kept"
    assert after["OPENAI_API_KEY"] == "theirs"
    assert "OPENAI_API_KEY" in done.output
    for key in ("SECRET_KEY", "MINA_OPS_ADMIN_TOKENS", "DATABASE_URL", "REDIS_URL"):
        assert after[key] != before[key]
    assert after["SECRET_KEY_FALLBACKS"] == before["SECRET_KEY"]
    token = (rig.folder / "token").read_text().strip()
    assert token != TOKEN
    assert all(accepted(host, token) and not accepted(host, TOKEN) for host in rig.hosts)
    assert not secret_redis.works(before["REDIS_URL"])
    assert secret_redis.works(after["REDIS_URL"])
    assert ask(rig.database, f"SELECT rolcanlogin FROM pg_roles WHERE rolname = '{rig.login}'") == [
        (False,)
    ]
    _nothing_secret_in(done.output, {**before, **after}, token)
    assert not (rig.folder / "secrets.env.rotation").exists()
    assert stat.S_IMODE(rig.file.stat().st_mode) == 0o600
    assert stat.S_IMODE((rig.folder / "secrets.env.tokens").stat().st_mode) == 0o600


def _nothing_secret_in(output: str, secrets: dict[str, str], token: str) -> None:
    hidden = [secrets["SECRET_KEY"], token, TOKEN, "old-key", "theirs"]
    hidden += [str(parse(secrets["DATABASE_URL"]).url.password)]
    hidden += [str(secret_redis.password_of(secrets["REDIS_URL"]))]
    assert not [value for value in hidden if value in output]
