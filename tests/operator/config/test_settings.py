"""mina-ops.toml: what it may say, and how it is told that it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from mina_ops.errors import ConfigurationError
from mina_ops.operator.config import settings
from mina_ops.operator.config.settings import OperatorSettings
from mina_ops.operator.database.connection.options import DatabaseOptions

GOOD = """
[public]
url = "https://mina.example.com/"
[colours.blue]
url = "http://10.0.0.1:8001"
instances = { "0" = "10.0.0.1:8001", "1" = "[::1]:8002" }
version = "v2.4.5"
[colours.green]
url = "https://green.example.com"
aliases = ["green-app", "g"]
[traffic]
driver = "nginx"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mina-ops.toml"
    path.write_text(GOOD)
    return path


def load(file: Path, old: str = "", new: str = "") -> OperatorSettings:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new) if old else text + new)
    return settings.load(file)


def read_all(found: OperatorSettings) -> None:
    """Every table that this module's file holds, and nothing else."""
    assert (found.public_url, found.colours, found.driver, found.token({})) is not None
    if found.unknown_tables():
        found.section("traffic")


def test_a_file_is_read_into_values(file: Path) -> None:
    found = settings.load(file)
    assert found.public_url == "https://mina.example.com"
    assert list(found.colours) == ["blue", "green"]
    blue, green = found.colours.values()
    assert (blue.url, blue.version, blue.aliases) == (
        "http://10.0.0.1:8001",
        "v2.4.5",
        ("mina-blue",),
    )
    assert dict(blue.instances) == {"0": "10.0.0.1:8001", "1": "[::1]:8002"}
    assert blue.own_probes
    assert dict(green.instances) == {"0": "green.example.com:443"}
    assert not green.own_probes


def test_a_colour_is_found_by_name_and_by_alias(file: Path) -> None:
    found = settings.load(file)
    assert found.colour("mina-blue") is found.colour("blue")
    assert found.colour("g").name == "green"
    assert found.other("mina-blue").name == "green"


def test_an_unknown_colour_is_told_the_known_ones(file: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"No colour 'purple' .* it has blue and green"):
        settings.load(file).colour("purple")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[public]", "[pubic]", r"public: is missing; give a table"),
        ('url = "https://mina', 'uri = "https://mina', r"public.url: is missing; give a text"),
        ('version = "v2.4.5"', "version = 2", r"colours.blue.version: 2 must be a text in quotes"),
        ('version = "v', 'verison = "v', r"colours.blue.verison: unknown key. Did you mean 'ver"),
        (
            'driver = "nginx"',
            'driver = "ngnix"',
            r"traffic.driver: 'ngnix' is none .* mean 'nginx'",
        ),
        ('driver = "nginx"', "", r"traffic.driver: is missing"),
        ("http://10.0.0.1:8001", "10.0.0.1:8001", r"colours.blue.url: .* must be an address"),
        ("http://10.0.0.1:8001", "http://u:p@host", r"colours.blue.url: .* must be an address"),
        ("http://10.0.0.1:8001", "http://host:99999", r"colours.blue.url: .* must be an address"),
        ('"10.0.0.1:8001"', '"10.0.0.1"', r"colours.blue.instances.0: .* must be 'host:port'"),
        ('"10.0.0.1:8001"', '"h:1; evil"', r"colours.blue.instances.0: .* must be 'host:port'"),
        ('{ "0" =', '{ "a b" =', r"colours.blue.instances.a b: an instance's name"),
        ('["green-app", "g"]', '"g"', r"colours.green.aliases: 'g' must be a list"),
        ('["green-app", "g"]', '["mina-blue"]', r"the alias 'mina-blue' names both colours"),
        ("[colours.green]", "[colours.green.x]", r"colours.green.url: is missing"),
        ("[colours.green]", "[other]", r"colours: needs exactly two tables"),
        ("[colours.green]", '[colours."gr een"]', r"a colour's name has up to 32"),
        ("[colours.green]", "[colours.Blue]", r"differ in more than upper and lower case"),
        ('{ "0" =', '{ "a" = "h:1", "A" =', r"differ in more than upper and lower case"),
        (
            "[traffic]",
            "[trafic]",
            r"traffic: is missing; give a table. Did you mean it by 'trafic'",
        ),
        ("[public]", "[[public]]", r"public: .* must be a table"),
        ("[public]", "[public", r"is not valid TOML"),
        ("", "[token]\nname = 'x'\n", r"token.name: unknown key. Known here: env, file"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_right(
    file: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_all(load(file, old, new))
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", "[notify]\nretries = 3\n"),
        ("", "[relase]\nsteps = [10, 100]\n"),
        ("", "[database]\nurl_env = 7\n"),
        ("[public]", "speed = 3\n[public]"),
        ("[public]", "[pubic]"),
        ('driver = "nginx"', 'driver = "ngnix"'),
    ],
)
def test_a_mistake_in_one_table_stops_nobody_who_needs_another(
    file: Path, old: str, new: str
) -> None:
    found = load(file, old, new)
    assert list(found.colours) == ["blue", "green"]
    assert found.section("preflight").keys() == []


def test_a_file_with_one_table_serves_who_needs_that_one(tmp_path: Path) -> None:
    path = tmp_path / "mina-ops.toml"
    path.write_text("[database]\nfolder = 'kept'\n")
    found = settings.load(path)
    assert found.section("database").fill(DatabaseOptions).folder == tmp_path / "kept"
    with pytest.raises(ConfigurationError, match=r"colours: is missing; give a table"):
        print(found.colours)


def test_a_misspelt_table_is_told_to_who_needs_it(file: Path) -> None:
    found = load(file, "", "[relase]\nsteps = [10, 100]\n")
    assert found.unknown_tables() == ["relase"]
    with pytest.raises(ConfigurationError, match=r"relase: unknown table. Did you mean 'release'"):
        found.section("release")


def test_other_parts_may_have_their_tables(file: Path) -> None:
    found = load(file, "", "[release]\nsteps = [10, 100]\n")
    assert found.section("release").keys() == ["steps"]
    assert found.section("release", "triggers").keys() == []


def test_a_file_is_found_by_argument_then_variable_then_here(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    assert settings.find() == file
    monkeypatch.setenv("MINA_OPS_CONFIG", str(other))
    assert settings.find() == other
    assert settings.find(str(file)) == file


def test_a_missing_file_is_told_how_to_name_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="give --config PATH or set MINA_OPS_CONFIG"):
        settings.find()
    with pytest.raises(ConfigurationError, match=r"No configuration file .*nowhere.toml"):
        settings.find("nowhere.toml")


def test_a_token_comes_from_the_variable_then_from_the_file(file: Path) -> None:
    (file.parent / "token").write_text("from-the-file\n")
    found = load(file, "", "[token]\nenv = 'MY_TOKEN'\nfile = 'token'\n")
    assert found.token({}) == "from-the-file"
    assert found.token({"MY_TOKEN": "from-the-variable"}) == "from-the-variable"
    assert settings.load(file).token({"MINA_OPS_TOKEN": "x"}) == "from-the-file"


def test_a_token_file_that_others_can_read_is_told_once_and_still_serves(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = file.parent / "token"
    token.write_text("from-the-file\n")
    load(file, "", "[token]\nfile = 'token'\n")
    for mode, warnings in ((0o644, 1), (0o640, 1), (0o600, 0)):
        token.chmod(mode)
        caplog.clear()
        found = settings.load(file)
        assert [found.token({}), found.token({})] == ["from-the-file"] * 2
        assert len(caplog.messages) == warnings
        assert all(f"chmod 600 {token}" in message for message in caplog.messages)


def test_a_table_that_cannot_be_read_is_told_once_where_the_variable_has_the_token(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = load(file, "", "[token]\nfiel = 'token'\n")
    with pytest.raises(ConfigurationError, match=r"token\.fiel"):
        found.token({})
    environ = {"MINA_OPS_TOKEN": "from-the-variable"}
    assert [found.token(environ), found.token(environ)] == ["from-the-variable"] * 2
    (told,) = caplog.messages
    assert "fiel" in told


def test_no_token_is_no_error_and_an_unreadable_one_is(file: Path) -> None:
    assert settings.load(file).token({}) is None
    found = load(file, "", "[token]\nfile = 'nowhere'\n")
    with pytest.raises(ConfigurationError, match=r"token.file: cannot read .*nowhere"):
        found.token({})
    (file.parent / "nowhere").write_text(" \n")
    with pytest.raises(ConfigurationError, match="is empty"):
        found.token({})


def test_relative_paths_start_at_the_files_folder(file: Path) -> None:
    table = load(file, "", "[demo]\nplace = 'state/x'\n").section("demo")
    assert table.path("place") == file.parent / "state/x"
    assert table.path("absent", None) is None


def test_numbers_have_ranges(file: Path) -> None:
    table = load(file, "", "[demo]\nn = 7\nf = 2\nb = true\n").section("demo")
    assert table.number("n", 1.0, most=7) == 7.0
    assert (table.number("f", 1.0), table.flag("b", False)) == (2.0, True)
    with pytest.raises(ConfigurationError, match=r"demo.n: 7 is out of range; give at least 8"):
        table.number("n", 1.0, least=8)
    with pytest.raises(ConfigurationError, match=r"demo.b: True must be a number"):
        table.number("b", 1.0)
