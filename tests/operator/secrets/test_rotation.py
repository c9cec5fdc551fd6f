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
import redis
from click.testing import CliRunner, Result

from mina_ops.cli import main
from mina_ops.demo.processes import Server
from mina_ops.demo.servers import start_redis
from mina_ops.errors import AccessDenied, ConfigurationError
from mina_ops.operator.config import settings
from mina_ops.operator.config.incident import SecretOptions
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.database.connection.connect import parse
from mina_ops.operator.secrets import database_role as secret_database
from mina_ops.operator.secrets import env_file as secret_file
from mina_ops.operator.secrets import redis_user as secret_redis
from mina_ops.operator.secrets.reload import Colours
from mina_ops.operator.secrets.rotation import Rotation
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


def test_rotation_killed_while_it_narrows_goes_on(rig: Rig) -> None:
    before = rig.secrets()
    # Two colours are reloaded for `widen`, two for `switch`; the fifth reload is that of `narrow`.
    _killed_at(rig, "exit_at=5")
    assert json.loads((rig.folder / "secrets.env.rotation").read_text())["stage"] == "narrow"
    done = rig.rotate("--resume", "--force")
    assert done.exit_code == 0, done.output
    assert "Rotated: secret_key, tokens, database, redis." in done.output
    assert "secrets.env.tokens" in done.output
    assert not secret_redis.works(before["REDIS_URL"])
    assert secret_redis.works(rig.secrets()["REDIS_URL"])
    _both_come_to(rig, taking=False)
    assert not (rig.folder / "secrets.env.rotation").exists()


def test_second_rotation_waits_for_the_first_and_cannot_undo_it(tmp_path: Path) -> None:
    _plain_settings(tmp_path)
    held = Rotation(
        SecretOptions(file=tmp_path / "secrets.env"), Colours(_settings(tmp_path), ("true",))
    )
    (tmp_path / "secrets.env.rotation").write_text("{}")
    with held.alone():
        for way in ("--undo", "--resume", "--all"):
            done = _typed(tmp_path, way, "--force")
            assert done.exit_code == 4, (way, done.output)
            assert "Another rotation of" in done.output
    assert (tmp_path / "secrets.env.rotation").read_text() == "{}"


def test_file_behind_a_link_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    real = tmp_path / "shared" / "secrets.env"
    real.parent.mkdir()
    real.write_text("A=old\n")
    real.chmod(0o600)
    link = tmp_path / "secrets.env"
    link.symlink_to("shared/secrets.env")
    secret_file.replace(link, secret_file.changed(link, {"A": "new"}))
    assert os.readlink(link) == "shared/secrets.env"
    assert real.read_text() == "A=new\n"


def test_redis_that_keeps_nothing_is_refused_before_anything_changes(
    tmp_path: Path, own_redis: Server
) -> None:
    _plain_settings(tmp_path)
    file = tmp_path / "secrets.env"
    with redis.Redis(port=own_redis.port) as client:
        client.execute_command("ACL SETUSER mina on >hush ~* &* +@all")
    file.write_text(f"REDIS_URL=redis://mina:hush@127.0.0.1:{own_redis.port}/0\n")
    before = file.read_text()
    done = _typed(tmp_path, "--only", "redis", text="y\n")
    assert done.exit_code == 2
    assert "a restart loses it" in done.output
    assert "--force" in done.output
    assert file.read_text() == before
    assert not (tmp_path / "secrets.env.rotation").exists()


def test_both_passwords_outlive_a_restart_of_redis_with_an_acl_file(tmp_path: Path) -> None:
    acl = tmp_path / "users.acl"
    acl.write_text("user default on nopass ~* &* +@all\nuser mina on >old ~* &* +@all\n")
    home = tmp_path / "redis"
    with start_redis(home, options=["--aclfile", str(acl)]) as server:
        url = f"redis://mina:old@127.0.0.1:{server.port}/0"
        assert secret_redis.has_file(url)
        assert secret_redis.add((url,), "new")
    with start_redis(home, port=server.port, options=["--aclfile", str(acl)]):
        new = secret_redis.with_password(url, "new")
        assert secret_redis.works(url)
        assert secret_redis.works(new)
        assert secret_redis.remove(new, "old")
    with start_redis(home, port=server.port, options=["--aclfile", str(acl)]):
        assert not secret_redis.works(url)
        assert secret_redis.works(new)


@pytest.mark.parametrize("scheme", ["redis+sentinel", "redis+cluster"])
def test_cluster_is_refused_since_each_node_has_its_own_users(tmp_path: Path, scheme: str) -> None:
    _plain_settings(tmp_path)
    (tmp_path / "secrets.env").write_text(f"REDIS_URL={scheme}://:hush@127.0.0.1:1/0\n")
    done = _typed(tmp_path, "--all", "--force")
    assert done.exit_code == 2
    assert "leave the kind `redis` out" in done.output
    assert "hush" not in done.output


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


def _typed(folder: Path, *arguments: str, text: str | None = None) -> Result:
    command = ["--config", str(folder / "mina-ops.toml"), "secrets", "rotate", *arguments]
    return CliRunner().invoke(main, command, input=text)


def _settings(folder: Path) -> OperatorSettings:
    return settings.load(folder / "mina-ops.toml")


def _plain_settings(folder: Path) -> None:
    file = folder / "secrets.env"
    file.write_text("SECRET_KEY=hush\nREDIS_URL=redis://:hush@127.0.0.1:1/0\n")
    file.chmod(0o600)
    (folder / "mina-ops.toml").write_text(
        'public.url = "http://127.0.0.1:1"\ntraffic.driver = "command"\n'
        '[colours.blue]\nurl = "http://127.0.0.1:1"\n[colours.green]\nurl = "http://127.0.0.1:2"\n'
        '[incident.secrets]\nfile = "secrets.env"\nreload = ["true"]\n'
    )
