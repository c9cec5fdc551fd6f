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

from mina_ops.cli import main
from mina_ops.errors import ConfigurationError, Locked, OperatorError, ToolMissing
from mina_ops.operator.config.incident import IncidentOptions
from mina_ops.operator.database.connection.connect import Database, parse
from mina_ops.operator.incident import letters, mailing
from mina_ops.operator.incident.letters import Letter, Recipient
from mina_ops.operator.system import locks
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


def test_recipients_are_checked_and_each_comes_once() -> None:
    found = letters.from_csv("address,name\nA@b.co,Ana\na@B.co,Twice\nc@d.org\n\n")
    assert [(person.address, person.name) for person in found] == [
        ("A@b.co", "Ana"),
        ("c@d.org", "user"),
    ]
    with pytest.raises(ConfigurationError, match="line 2"):
        letters.from_csv("a@b.co\nno address\n")
    with pytest.raises(ConfigurationError, match="line 1"):
        letters.from_csv('"a@b.co\nBcc: all@x.org",Ana\n')


def test_recipients_come_from_a_query(database_url: str) -> None:
    database: Database = parse(database_url)
    run(database, "CREATE TABLE u (mail text, name text); INSERT INTO u VALUES ('a@b.co', 'Ana')")
    found = letters.from_query(database, "SELECT mail AS address, name FROM u")
    assert [(person.address, person.name) for person in found] == [("a@b.co", "Ana")]


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
    (tmp_path / "people.csv").write_text("a@b.co,Ana\nc@d.org,Ben\n")
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
