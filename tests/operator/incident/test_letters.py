"""Letters go out once to everyone, in batches, over kills and failures."""

from __future__ import annotations

import email
import email.policy
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mina_ops import locks
from mina_ops.cli import main
from mina_ops.errors import ConfigurationError, Locked, OperatorError, ToolMissing
from mina_ops.operator.config.incident import IncidentOptions
from mina_ops.operator.database.connection.connect import Database, parse
from mina_ops.operator.incident import letters, mailing
from mina_ops.operator.incident import recipients as people_of
from mina_ops.operator.incident.letters import Letter
from mina_ops.operator.incident.recipients import Recipient
from tests.operator.database.conftest import run
from tests.support.wait import eventually

LETTER = Letter("Hello $name", "Dear $name,\n\nsomething happened. It costs 5 $$.")


@pytest.fixture
def mailbox(tmp_path: Path) -> Path:
    folder = tmp_path / "mailbox"
    folder.mkdir()
    return folder


@pytest.fixture
def send(tmp_path: Path, mailbox: Path) -> Path:
    """A sendmail that files each message; it refuses who is named in `refused`.

    While there is a file `hold`, it does not come back from the sixth message.
    """
    script = tmp_path / "sendmail"
    script.write_text(
        "#!/bin/sh\n"
        f"message=$(mktemp {mailbox}/XXXXXX)\ncat > $message\n"
        f"while [ -e {tmp_path}/hold ] && [ $(ls {mailbox} | wc -l) -gt 5 ]; do sleep 0.02; done\n"
        f"if grep -qf {tmp_path}/refused $message 2>/dev/null; then rm $message; exit 75; fi\n"
    )
    script.chmod(0o755)
    return script


def people(number: int) -> list[Recipient]:
    return [Recipient(f"user{n}@example.com", f"User {n}") for n in range(number)]


def addressees(mailbox: Path) -> list[str]:
    texts = [file.read_text() for file in mailbox.iterdir()]
    # Of a message that a kill cut off before its addressee, nobody has heard.
    return sorted(to for text in texts if (to := email.message_from_string(text)["To"]))


def post(send: Path, journal: Path, number: int = 7, **more: object) -> letters.Progress:
    return letters.post(
        LETTER,
        people(number),
        journal,
        send=[str(send)],
        sender="security@example.com",
        pause_seconds=0,
        **more,  # type: ignore[arg-type]
    )


def test_everyone_is_told_once_however_often_it_runs(
    send: Path, mailbox: Path, tmp_path: Path
) -> None:
    seen: list[int] = []
    done = post(send, tmp_path / "j", batch=3, say=lambda progress: seen.append(progress.sent))
    assert (done.sent, done.failed) == (7, 0)
    assert seen == [3, 6, 7]
    again = post(send, tmp_path / "j", number=9)
    assert (again.sent, again.before) == (2, 7)
    assert addressees(mailbox) == sorted(person.address for person in people(9))
    assert "user1@example.com" not in (tmp_path / "j").read_text()


def test_message_is_filled_for_its_reader(send: Path, mailbox: Path, tmp_path: Path) -> None:
    post(send, tmp_path / "j", number=1)
    (file,) = mailbox.iterdir()
    message = email.message_from_string(file.read_text(), policy=email.policy.default)
    assert message["Subject"] == "Hello User 0"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content() == "Dear User 0,\n\nsomething happened. It costs 5 $.\n"


def test_refused_letter_is_tried_in_the_next_run(send: Path, mailbox: Path, tmp_path: Path) -> None:
    (tmp_path / "refused").write_text("user2@\n")
    assert post(send, tmp_path / "j").failed == 1
    (tmp_path / "refused").unlink()
    assert post(send, tmp_path / "j").sent == 1
    assert addressees(mailbox) == [person.address for person in people(7)]


def test_mail_server_that_refuses_all_ends_the_run(send: Path, tmp_path: Path) -> None:
    (tmp_path / "refused").write_text("user\n")
    with pytest.raises(OperatorError, match="5 letters in a row"):
        post(send, tmp_path / "j", number=50)


def test_killed_run_tells_nobody_twice(send: Path, mailbox: Path, tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom tests.operator.incident.test_letters import *\n"
        "post(Path(sys.argv[1]), Path(sys.argv[2]), number=80)\n"
    )
    (tmp_path / "hold").touch()
    process = subprocess.Popen([sys.executable, "-c", script, str(send), str(tmp_path / "j")])
    eventually(lambda: len(list(mailbox.iterdir())) > 5, 20, "no letter went out")
    process.send_signal(signal.SIGKILL)
    process.wait()
    (tmp_path / "hold").unlink()

    done = post(send, tmp_path / "j", number=80)

    found = addressees(mailbox)
    assert len(found) == len(set(found)), "somebody was told twice"
    assert done.unknown == 1
    assert len(found) >= 80 - done.unknown
    assert done.sent + done.before + done.unknown == 80


def test_two_runs_at_once_are_refused(send: Path, tmp_path: Path) -> None:
    with locks.held(tmp_path / "j.lock"), pytest.raises(Locked):
        post(send, tmp_path / "j.jsonl")


def test_missing_sendmail_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolMissing, match=r"incident\.send"):
        post(tmp_path / "none", tmp_path / "j")


def told(text: str) -> list[tuple[str, str]]:
    return [(p.address, p.name) for p in people_of.from_csv(text).recipients]


def test_each_recipient_comes_once_and_a_heading_is_none() -> None:
    text = "address,name\nA@b.co,Ana\na@B.co,Twice\nc@d.org\n\n"
    assert told(text) == [("A@b.co", "Ana"), ("c@d.org", "user")]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("root@localhost", ("root@localhost", "user")),
        ("o'brien+news@mail.example.co.uk,Pat", ("o'brien+news@mail.example.co.uk", "Pat")),
        ('"""ann lee""@example.com",Ann', ('"ann lee"@example.com', "Ann")),
        ("a@[192.0.2.1],Lit", ("a@[192.0.2.1]", "Lit")),
        ("jo@b\u00fccher.example,Jo", ("jo@xn--bcher-kva.example", "Jo")),
        ("Ana Lee <ana@b.co>", ("ana@b.co", "Ana Lee")),
        ("ana@b.co;Ana", ("ana@b.co", "Ana")),
        ('ana@b.co,"Lee, Ana"', ("ana@b.co", "Lee, Ana")),
        ("ana@b.co,Zo\u00eb\tLee", ("ana@b.co", "Zo\u00eb Lee")),
    ],
)
def test_addresses_are_those_of_the_rfcs(line: str, found: tuple[str, str]) -> None:
    assert told(line) == [found]


BAD = [
    "no address",
    ",Nobody",
    "@b.co",
    "a@",
    "a b@c.d",
    "a@b@c.d",
    '"a@b.co',
    "Bcc: all@x.org",
    f"{'a' * 65}@b.co",
    "j\u00f6rg@b.co",
    "a\x00@b.co",
    "a@b..co",
]


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_line_is_set_aside_and_harms_nobody_else(bad: str) -> None:
    people_ = people_of.from_csv(f"first@b.co,One\n{bad}\nlast@b.co,Two\n")
    assert [p.address for p in people_.recipients] == ["first@b.co", "last@b.co"]
    (aside,) = people_.aside
    assert aside.what == "line 2"
    assert str(aside).isprintable()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_a_byte_order_mark_is_no_part_of_an_address(encoding: str) -> None:
    found = people_of.from_bytes("ana@b.co,Ana\r\nben@c.de,Ben\r\n".encode(encoding))
    assert [(p.address, p.name) for p in found.recipients] == [
        ("ana@b.co", "Ana"),
        ("ben@c.de", "Ben"),
    ]


def test_recipients_come_from_a_query_and_one_without_an_address_stops_nobody(
    database_url: str,
) -> None:
    database: Database = parse(database_url)
    run(
        database,
        "CREATE TABLE u (mail text, name text);"
        "INSERT INTO u VALUES (NULL, 'Nemo'), ('a@b.co', 'Ana'), ('c@d.org', NULL)",
    )
    found = people_of.from_query(database, "SELECT mail AS address, name FROM u")
    assert [(p.address, p.name) for p in found.recipients] == [
        ("a@b.co", "Ana"),
        ("c@d.org", "user"),
    ]
    assert [str(one) for one in found.aside] == ["row 1: has no address"]


def test_refused_addresses_in_a_row_do_not_keep_the_others_from_being_told(
    send: Path, mailbox: Path, tmp_path: Path
) -> None:
    (tmp_path / "refused").write_text("".join(f"user{n}@\n" for n in range(8)))
    done = post(send, tmp_path / "j", number=12)
    assert (done.sent, done.failed) == (4, 8)
    assert [one.what for one in done.refused] == [f"user{n}@example.com" for n in range(8)]
    assert addressees(mailbox) == sorted(f"user{n}@example.com" for n in range(8, 12))
    again = post(send, tmp_path / "j", number=12)
    assert (again.sent, again.before, again.failed) == (0, 4, 8)


def test_a_run_that_stopped_goes_on_with_those_who_were_not_tried(
    send: Path, mailbox: Path, tmp_path: Path
) -> None:
    (tmp_path / "refused").write_text("".join(f"user{n}@\n" for n in range(30)))
    with pytest.raises(OperatorError, match="25 letters in a row"):
        post(send, tmp_path / "j", number=40)
    done = post(send, tmp_path / "j", number=40)
    assert (done.sent, done.failed) == (10, 30)
    assert addressees(mailbox) == sorted(f"user{n}@example.com" for n in range(30, 40))


def test_a_letter_with_todays_date_is_the_same_letter_tomorrow() -> None:
    options = IncidentOptions(words={"what": "x"})
    today = mailing.letter(options, "service_restored", ["date=1 May"])
    tomorrow = mailing.letter(options, "service_restored", ["date=2 May"])
    other = mailing.letter(options, "service_restored", ["what=y"])
    assert today.body != tomorrow.body
    assert today.campaign == tomorrow.campaign != other.campaign


def test_shipped_templates_need_what_only_people_know() -> None:
    with pytest.raises(ConfigurationError, match="needs data, what; give --set data="):
        mailing.letter(IncidentOptions(), "security_breach", [])
    letter = mailing.letter(
        IncidentOptions(), "security_breach", ["what=A key for $5 leaked.", "data=names"]
    )
    text = letter.to(Recipient("a@b.co", "Ana"), "s@m.org")
    assert "A key for $5 leaked." in text
    assert "Hello Ana," in text
    with pytest.raises(ConfigurationError, match="there are security_breach, service_restored"):
        mailing.letter(IncidentOptions(), "nothing", [])


def test_command_with_a_file_of_recipients(
    send: Path, mailbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_text("\ufeffa@b.co,Ana\nc@d.org,Ben\n")
    (tmp_path / "mina-ops.toml").write_text(
        'public.url = "http://127.0.0.1:1"\ntraffic.driver = "command"\n'
        '[colours.blue]\nurl = "http://127.0.0.1:1"\n[colours.green]\nurl = "http://127.0.0.1:2"\n'
        f'[incident]\nsend = ["{send}"]\nsender = "security@example.com"\n'
    )
    command = ["incident", "notify-users", "--template", "service_restored", "--set", "what=x"]
    command += ["--recipients", "people.csv", "--json"]
    dry = CliRunner().invoke(main, [*command, "--dry-run"])
    assert json.loads(dry.stdout)["recipients"] == 2
    assert list(mailbox.iterdir()) == []
    assert json.loads(CliRunner().invoke(main, command).stdout)["sent"] == 2
    assert json.loads(CliRunner().invoke(main, command).stdout)["already"] == 2
    assert len(list(mailbox.iterdir())) == 2


def test_command_tells_everybody_else_and_names_who_cannot_be_told(
    send: Path, mailbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "refused").write_text("refused@\n")
    (tmp_path / "people.csv").write_text(
        "root@localhost\nnobody here\x1b[2J\nrefused@b.co\na@b.co\n"
    )
    (tmp_path / "mina-ops.toml").write_text(f'[incident]\nsend = ["{send}"]\n')
    command = ["incident", "notify-users", "--template", "service_restored", "--set", "what=x"]
    done = CliRunner().invoke(main, [*command, "--recipients", "people.csv"])
    assert done.exit_code == 1
    assert addressees(mailbox) == ["a@b.co", "root@localhost"]
    assert "Cannot be told: line 2:" in done.stdout
    assert "Cannot be told: refused@b.co: exit code 75" in done.stdout
    assert "\x1b" not in done.stdout
    assert "2 people could not be told; everybody else was" in done.stderr
