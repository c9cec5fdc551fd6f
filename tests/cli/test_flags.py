"""`mina-ops flags`, `audit` and `token` against a real app, one colour of which is down."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from mina_ops.cli import main
from tests.cli.conftest import Ran
from tests.support.flag_site import TOKEN, FlagSite, flag_site

Run = Callable[..., Ran]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FlagSite]:
    with flag_site(tmp_path) as running:
        yield running


@pytest.fixture
def run(site: FlagSite) -> Run:
    def runs(*arguments: str, token: str = TOKEN) -> Ran:
        environment = {"MINA_OPS_TOKEN": token, "MINA_OPS_CONFIG": str(site.toml)}
        result = CliRunner().invoke(main, arguments, env=environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    return runs


def test_a_flag_is_set_listed_shown_and_deleted(run: Run, site: FlagSite) -> None:
    made = run("flags", "set", "audio", "--on", "--percent", "25", "owner=ana", 'allow=["7"]')
    assert (made.code, made.out) == (0, "audio is 25 % (allow)\n")
    assert site.flags.is_enabled("audio", 7) is True
    listed = run("flags", "list")
    assert "audio  25 %   allow" in listed.out
    shown = run("flags", "show", "audio", "--json").json
    assert (shown["owner"], shown["rollout_percent"]) == ("ana", 25.0)
    foreseen = run("flags", "delete", "audio", "--dry-run", "--json").json
    assert (foreseen["dry_run"], foreseen["flag"]["owner"]) == (True, "ana")
    assert run("flags", "delete", "audio").code == 0
    gone = run("flags", "show", "audio", "--json")
    assert (gone.code, gone.json["error"], gone.json["exit_code"]) == (1, "operator", 1)
    assert "There is no flag audio; `mina-ops flags list`" in gone.err


def test_what_others_wrote_into_a_flag_does_nothing_to_a_terminal(run: Run) -> None:
    run("flags", "set", "audio", "--on", "owner=\x1b[2J\x1b]0;hacked\x07\u202e")
    for command in (("list",), ("show", "audio"), ("history", "audio")):
        told = run("flags", *command).out
        assert not any(character in told for character in "\x1b\x07\u202e")
    assert run("flags", "list").out.count("\N{REPLACEMENT CHARACTER}[2J") == 1


def test_tokens_are_made_used_listed_rotated_and_revoked(run: Run) -> None:
    made = run("token", "create", "ci", "--scope", "flags", "--days", "30", "--json").json
    assert run("flags", "list", token=made["token"]).code == 0
    denied = run("token", "list", token=made["token"])
    assert denied.code == 8
    assert "its scope is flags" in denied.err
    listed = run("token", "list").out.splitlines()
    assert listed[0].split() == [
        "ID",
        "NAME",
        "SCOPE",
        "STATE",
        "ENDS",
        "LAST",
        "USED",
        "MADE",
        "BY",
    ]
    assert any(made["made"]["id"] in line and "flags" in line for line in listed)
    assert any("ana" in line and "settings" in line for line in listed)
    rotated = run("token", "rotate", "ci", "--overlap-hours", "1", "--json").json
    for token in (made["token"], rotated["token"]):
        assert run("flags", "list", token=token).code == 0
    several = run("token", "revoke", "ci")
    assert (several.code, rotated["made"]["id"] in several.err) == (1, True)
    assert run("token", "revoke", made["made"]["id"]).code == 0
    assert run("flags", "list", token=made["token"]).code == 8
    assert run("token", "revoke", "ci").out == f"revoked: ci ({rotated['made']['id']})\n"
    assert run("token", "revoke", "ci").code == 1


@pytest.mark.parametrize("scope", ["admin", "read", "drain", "flags"])
def test_a_token_for_the_settings_names_the_setting_of_its_scope(run: Run, scope: str) -> None:
    told = run("token", "new", "ci", "--scope", scope).out
    assert f"MINA_OPS_{scope.upper()}_TOKENS=ci:" in told


def test_a_kill_says_that_all_processes_applied_it(run: Run, site: FlagSite) -> None:
    run("flags", "set", "audio", "--on")
    off = run("flags", "set", "audio", "--off")
    assert off.out == "audio is off, applied by all 1 processes\n"
    assert site.flags.is_enabled("audio") is False


def test_undo_and_history_tell_the_story(run: Run, site: FlagSite) -> None:
    run("flags", "set", "audio", "--on", "--percent", "10")
    run("flags", "set", "audio", "--percent", "50")
    assert run("flags", "undo", "audio").out == "put back: audio\n"
    assert site.flags.editor.flag("audio")[0].rollout_percent == 10
    story = run("flags", "history", "audio").out
    assert "token:ana" in story
    assert "rollout_percent: 50.0 -> 10.0" in story
    assert "rollout_percent: 10.0 -> 50.0" in story
    run("flags", "set", "audio", "--off", "owner=ana")
    newest = run("flags", "history", "audio", "--limit", "1").out
    assert "enabled: True -> False, owner: default -> ana" in newest


def test_a_release_is_turned_off_and_put_back(run: Run, site: FlagSite) -> None:
    for key in ("one", "two"):
        run("flags", "set", key, "--on", "release=v2.5.0")
    tried = run("flags", "disable-release", "v2.5.0", "--dry-run")
    assert (tried.out, site.flags.is_enabled("one")) == ("would turn off: one, two\n", True)
    assert run("flags", "disable-release", "v2.5.0").out == "turned off: one, two\n"
    assert run("flags", "disable-release", "v2.5.0").out == "turned off: nothing was on\n"
    change = run("flags", "history", "--limit", "1", "--json").json["changes"][0]["id"]
    assert run("flags", "undo", "--change", change).out == "put back: one, two\n"
    assert site.flags.is_enabled("one") is True


def test_an_export_is_imported_and_a_dry_run_changes_nothing(
    run: Run, site: FlagSite, tmp_path: Path
) -> None:
    run("flags", "set", "audio", "--on", "--percent", "12.5")
    run("flags", "set", "theme", "--on", 'variants={"dark": "#000"}')
    file = tmp_path / "flags.json"
    assert run("flags", "export", str(file)).code == 0
    run("flags", "set", "audio", "--off")
    run("flags", "delete", "theme")
    tried = run("flags", "import", str(file), "--dry-run")
    assert tried.out == "would change: audio, theme\n"
    assert site.flags.is_enabled("theme") is False
    assert run("flags", "import", str(file)).out == "changed: audio, theme\n"
    assert run("flags", "import", str(file)).out == "changed: nothing\n"
    assert json.loads(run("flags", "export").out) == json.loads(file.read_text())


def test_thousands_of_flags_go_in_batches(run: Run, site: FlagSite, tmp_path: Path) -> None:
    file = tmp_path / "flags.json"
    many = [{"key": f"f{n}", "enabled": True, "owner": "x" * 200} for n in range(3_000)]
    file.write_text(json.dumps({"flags": many}))
    assert run("flags", "import", str(file), "--json").code == 0
    assert len(site.flags.editor.flags()) == 3_000


def test_a_dry_run_of_set_sends_nothing(run: Run, site: FlagSite) -> None:
    tried = run("flags", "set", "audio", "--on", "--dry-run")
    assert (tried.code, site.flags.editor.flags()) == (0, [])
    assert tried.out == 'would set of audio: {"enabled": true}\n'


def test_the_report_names_flags_without_an_owner(run: Run) -> None:
    run("flags", "set", "audio", "--on")
    assert run("flags", "report", "--json").json["findings"][0]["kind"] == "unowned"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("flags", "set", "Audio", "--on"), 1, "Field 'key' must match"),
        (("flags", "set", "audio", "--percent", "101"), 2, "101"),
        (("flags", "set", "audio", "nonsense"), 2, "FIELD=VALUE"),
        (("flags", "set", "audio", "colour=blue"), 1, "Unknown field 'colour'"),
        (("flags", "undo"), 2, "Name a flag"),
        (("flags", "undo", "audio"), 1, "no change to undo"),
        (("flags", "recover"), 2, "--restore or --discard"),
        (("flags", "list", "--colour", "red"), 2, "No colour 'red'"),
        (("flags", "list", "--colour", "blue"), 3, "cannot be reached"),
        (("flags", "rollout", "audio", "--every", "soon"), 2, "30s"),
        (("flags", "rollout", "audio", "--steps", "50,10"), 2, "growing"),
        (("flags", "rollout", "audio", "--dry-run"), 2, "There is no flag audio"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_own_exit_code(
    run: Run, arguments: tuple[str, ...], code: int, words: str
) -> None:
    ran = run(*arguments)
    assert ran.code == code, ran.err
    assert words in ran.err
    assert ran.out == ""


def test_a_wrong_token_is_refused_with_8(run: Run) -> None:
    ran = run("flags", "list", token="wrong")
    assert ran.code == 8
    assert "wrong" not in ran.err


def test_the_audit_log_tells_who(run: Run) -> None:
    run("flags", "set", "audio", "--on")
    ran = run("audit")
    assert "token:ana" in ran.out
    assert run("audit", "--json").json["entries"][0]["action"] == "flag.set"


def test_a_rollout_is_shown_before_it_is_run(run: Run) -> None:
    run("flags", "set", "audio", "--on", "--percent", "25")
    ran = run("flags", "rollout", "audio", "--steps", "10,25,50,100", "--every", "10m", "--dry-run")
    assert ran.out.splitlines()[1:] == [
        "set 50 %, watch for 600 s; on failure: off",
        "set 100 %, watch for 600 s; on failure: off",
    ]


def test_a_new_token_is_printed_once_and_its_digest_opens_the_door() -> None:
    first, second = (
        json.loads(CliRunner().invoke(main, ["token", "new", "ci", "--json"]).stdout)
        for _ in range(2)
    )
    assert first["token"] != second["token"]
    assert len(first["token"]) > 40
    assert hashlib.sha256(first["token"].encode()).hexdigest() == first["digest"]
    text = CliRunner().invoke(main, ["token", "new", "ci"]).stdout
    assert "MINA_OPS_ADMIN_TOKENS=ci:" in text


@pytest.mark.parametrize("name", ["a b", "a:b", "a,b", "", "-x", "x" * 65])
def test_a_name_that_would_break_the_setting_is_refused(name: str) -> None:
    assert CliRunner().invoke(main, ["token", "new", "--", name]).exit_code == 2
