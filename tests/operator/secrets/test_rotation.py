"""A rotation that fails or is killed leaves nothing half-done, and nothing secret is printed."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from mina_ops.cli import main
from mina_ops.demo.processes import Server
from mina_ops.errors import AccessDenied, ConfigurationError
from mina_ops.operator.database.connection.connect import parse
from mina_ops.operator.secrets import database_role as secret_database
from mina_ops.operator.secrets import env_file as secret_file
from mina_ops.operator.secrets import redis_user as secret_redis
from tests.operator.database.conftest import ask, run
from tests.support.hosts import Hosts
from tests.support.rotation import TOKEN, Rig, accepted, reload_script, standing_rig
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


def test_second_rotation_drops_the_first_ones_role_and_tables_keep_their_owner(rig: Rig) -> None:
    assert rig.rotate("--only", "database", "--force").exit_code == 0
    first = parse(rig.secrets()["DATABASE_URL"])
    run(first, "CREATE TABLE made_later (n int)")
    assert ask(first, "SHOW work_mem") == [("5MB",)]
    assert rig.rotate("--only", "database", "--force").exit_code == 0
    assert ask(
        rig.database,
        f"SELECT count(*) FROM pg_roles WHERE rolname = '{first.url.username}'",
    ) == [(0,)]
    owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'made_later'"
    assert ask(rig.database, owner) == [(rig.login,)]


def test_failed_switch_puts_everything_back(rig: Rig) -> None:
    text = rig.file.read_text()
    # The reload works the first time, and stops a colour the second time.
    counter = rig.folder / "reloads"
    script = rig.folder / "reload.sh"
    script.write_text(
        script.read_text().replace(
            "#!/bin/sh\n",
            f"#!/bin/sh\necho x >> {counter}\n[ $(wc -l < {counter}) -eq 3 ] && exit 9\n",
        )
    )
    done = rig.rotate("--all", "--force")
    assert done.exit_code == 1
    assert "ended with 9" in done.output
    assert rig.file.read_text() == text
    assert secret_redis.works(rig.secrets()["REDIS_URL"])
    roles = ask(rig.database, f"SELECT rolname FROM pg_roles WHERE rolname LIKE '{rig.login}%'")
    assert roles == [(rig.login,)]
    _both_come_to(rig, taking=True)
    assert not (rig.folder / "secrets.env.rotation").exists()


def test_killed_rotation_is_refused_then_undone(rig: Rig) -> None:
    text = rig.file.read_text()
    (rig.folder / "mina-ops.toml").write_text(
        (rig.folder / "mina-ops.toml").read_text().replace("settle_seconds = 20", "")
    )
    _killed_at(rig, "exit_at=1")
    journal = json.loads((rig.folder / "secrets.env.rotation").read_text())
    assert journal["stage"] == "widen"
    assert rig.file.read_text() != text
    again = rig.rotate("--all", "--force")
    assert again.exit_code == 2
    assert "--resume or --undo" in again.output
    assert rig.rotate("--undo").exit_code == 0
    assert rig.file.read_text() == text
    assert rig.rotate("--undo").exit_code == 2


def test_rotation_killed_past_the_point_of_no_return_goes_on_and_is_not_undone(rig: Rig) -> None:
    before = rig.secrets()
    # Two colours are reloaded for `widen`, two for `switch`; the fifth reload is that of `narrow`.
    _killed_at(rig, "exit_at=5")
    assert json.loads((rig.folder / "secrets.env.rotation").read_text())["stage"] == "narrow"
    assert rig.rotate("--undo").exit_code == 2
    done = rig.rotate("--resume", "--force")
    assert done.exit_code == 0, done.output
    assert "Rotated: secret_key, tokens, database, redis." in done.output
    assert "secrets.env.tokens" in done.output
    assert not secret_redis.works(before["REDIS_URL"])
    assert secret_redis.works(rig.secrets()["REDIS_URL"])
    _both_come_to(rig, taking=False)
    assert not (rig.folder / "secrets.env.rotation").exists()


def _both_come_to(rig: Rig, *, taking: bool) -> None:
    """Wait until both colours take the old token or refuse it; an earlier worker may yet answer."""
    eventually(
        lambda: all(accepted(host, TOKEN) is taking for host in rig.hosts),
        ignoring=(OSError, http.client.HTTPException),
    )


def _killed_at(rig: Rig, when: str) -> None:
    """Rotate in a process that is killed by the reload of that number."""
    pid = os.fork()
    if pid == 0:
        reload_script(rig.folder, rig.hosts, f"{when}; parent={os.getpid()}")
        rig.rotate("--all", "--force")
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 9
    reload_script(rig.folder, rig.hosts)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "Give one of"),
        (["--all", "--undo"], 2, "Give one of"),
        (["--only", "nothing"], 2, "is not one of"),
        (["--resume", "--force"], 2, "no rotation to go on with"),
    ],
)
def test_bad_arguments_change_nothing(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    _plain_settings(tmp_path)
    done = CliRunner().invoke(
        main, ["--config", str(tmp_path / "mina-ops.toml"), "secrets", "rotate", *arguments]
    )
    assert done.exit_code == code
    assert message in done.output


def test_dry_run_names_kinds_only(tmp_path: Path) -> None:
    _plain_settings(tmp_path)
    before = (tmp_path / "secrets.env").read_text()
    done = CliRunner().invoke(
        main,
        ["--config", str(tmp_path / "mina-ops.toml"), "secrets", "rotate", "--all", "--dry-run"],
    )
    assert done.exit_code == 0
    assert "secret_key, redis" in done.output
    assert "hush" not in done.output
    assert (tmp_path / "secrets.env").read_text() == before


def test_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    _plain_settings(tmp_path)
    (tmp_path / "secrets.env").chmod(0o644)
    with pytest.raises(AccessDenied, match="chmod 600"):
        secret_file.read(tmp_path / "secrets.env")


def test_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"incident\.secrets\.file"):
        secret_file.read(tmp_path / "none.env")
    broken = tmp_path / "b.env"
    broken.write_text("A=1\nwhat is this\n")
    broken.chmod(0o600)
    with pytest.raises(ConfigurationError, match="line 2"):
        secret_file.read(broken)


@pytest.mark.parametrize("value", ["plain", 'with "quotes" $and `ticks` \\', "a&b c", ""])
def test_value_survives_being_written_and_read_by_a_shell_too(tmp_path: Path, value: str) -> None:
    file = tmp_path / "s.env"
    file.write_text("# head\nA=old\nexport B='x y'\n")
    file.chmod(0o600)
    secret_file.replace(file, secret_file.changed(file, {"A": value, "C": "new", "B": None}))
    assert secret_file.read(file) == {"A": value, "C": "new"}
    sourced = subprocess.run(
        ["sh", "-c", f'. {file}; printf %s "$A"'], capture_output=True, text=True, check=True
    )
    assert sourced.stdout == value


def test_verifier_is_postgresqls_own(database_url: str) -> None:
    database = parse(database_url)
    role = f"scram_{database.url.database}"
    run(database, f"SET password_encryption = 'scram-sha-256'; CREATE ROLE {role} PASSWORD 'päss'")
    try:
        ((stored,),) = ask(database, f"SELECT rolpassword FROM pg_authid WHERE rolname = '{role}'")
    finally:
        run(database, f"DROP ROLE {role}")
    salt = base64.b64decode(re.split(r"[:$]", str(stored))[2])
    assert secret_database.scram("päss", salt) == stored


def _plain_settings(folder: Path) -> None:
    file = folder / "secrets.env"
    file.write_text("SECRET_KEY=hush\nREDIS_URL=redis://:hush@127.0.0.1:1/0\n")
    file.chmod(0o600)
    (folder / "mina-ops.toml").write_text(
        'public.url = "http://127.0.0.1:1"\ntraffic.driver = "command"\n'
        '[colours.blue]\nurl = "http://127.0.0.1:1"\n[colours.green]\nurl = "http://127.0.0.1:2"\n'
        '[incident.secrets]\nfile = "secrets.env"\nreload = ["true"]\n'
    )
