from __future__ import annotations

import os
from pathlib import Path

from mina_ops.demo.front import settings_text
from mina_ops.demo.processes import Server
from mina_ops.demo.stage import VERSIONS, Keys, write_secret
from mina_ops.operator.config.settings import load


def test_the_settings_name_every_instance(tmp_path: Path, nginx_binary: Path) -> None:
    def at(port: int) -> Server:
        return Server("app", port, f"http://127.0.0.1:{port}", tmp_path, [], None)  # type: ignore[arg-type]

    instances = {"blue": (at(1001), at(1002)), "green": (at(1003), at(1004))}
    file = tmp_path / "mina-ops.toml"
    file.write_text(settings_text(instances, VERSIONS, tmp_path / "nginx", 8080, 8081))
    settings = load(file)
    assert settings.public_url == "http://127.0.0.1:8080"
    assert settings.colours["green"].instances == {"0": "127.0.0.1:1003", "1": "127.0.0.1:1004"}
    assert settings.colours["blue"].version == "v2.4.5"
    assert settings.section("traffic", "nginx").text("program") == str(nginx_binary)


def test_each_stage_has_secrets_of_its_own_that_no_repr_shows() -> None:
    one, other = Keys(), Keys()
    assert one.admin_token != other.admin_token
    assert one.passwords != other.passwords
    assert one.admin_token not in repr(one)


def test_a_secret_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "admin.token"
    write_secret(path, "secret")
    assert path.read_text() == "secret\n"
    assert os.stat(path).st_mode & 0o077 == 0
