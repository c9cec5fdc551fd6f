"""Letters that came back are counted, named and not sent again; thousands go out with progress."""

from __future__ import annotations

import json
import mailbox as mailboxes
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from mina_ops.cli import main
from mina_ops.errors import ConfigurationError
from mina_ops.operator.incident import bounces
from tests.operator.incident.test_letters import addressees, mailbox, post, send

__all__ = ["mailbox", "send"]  # fixtures

# As Postfix, Exim and Exchange write them, in short.
_REPORT = """\
From: MAILER-DAEMON@mx.example.com (Mail Delivery System)
To: security@example.com
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

This is the mail system at host mx.example.com.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com
Arrival-Date: Sat, 25 Oct 2025 10:00:00 +0000

{recipients}
--b
Content-Type: message/rfc822

From: security@example.com
To: somebody@example.com

Dear you
--b--
"""
_FAILED = """\
Final-Recipient: rfc822; {address}
{more}Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 <{address}>: Recipient address rejected:
    User unknown
"""
_DELAYED = "Final-Recipient: rfc822; user3@example.com\nAction: delayed\nStatus: 4.4.1\n"


def report(*recipients: str) -> str:
    return _REPORT.format(recipients="\n".join(recipients))


def failed(address: str, more: str = "") -> str:
    return _FAILED.format(address=address, more=more)


def test_failures_are_read_and_delays_are_none(tmp_path: Path) -> None:
    forwarded = failed("elsewhere@b.co", "Original-Recipient: rfc822;user2@example.com\n")
    (tmp_path / "one.eml").write_text(report(failed("user1@example.com"), forwarded, _DELAYED))
    found = bounces.read(tmp_path / "one.eml")
    assert [bounce.address for bounce in found] == ["user1@example.com", "user2@example.com"]
    assert found[0].why == (
        "came back: 550 5.1.1 <user1@example.com>: Recipient address rejected: User unknown"
    )


@pytest.mark.parametrize("kind", ["mbox", "maildir", "folder", "list"])
def test_bounces_lie_in_whatever_keeps_mail(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "returned"
    texts = [report(failed(f"user{n}@example.com")) for n in (1, 2)]
    if kind == "list":
        path.write_text("\ufeff# who came back\nuser1@example.com\nUser <user2@example.com>\n")
    elif kind == "folder":
        path.mkdir()
        for number, text in enumerate(texts):
            (path / f"{number}.eml").write_text(text)
    else:
        made = mailboxes.mbox(path) if kind == "mbox" else mailboxes.Maildir(path)
        for text in texts:
            made.add(text.encode())
        made.close()
    found = sorted(bounce.address for bounce in bounces.read(path))
    assert found == ["user1@example.com", "user2@example.com"]


def test_what_is_no_mail_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\x00\x01\x02\n")
    with pytest.raises(ConfigurationError, match="neither mail nor a list"):
        bounces.read(tmp_path / "x")


def test_a_second_run_tells_the_corrected_address_and_nobody_twice(
    send: Path, mailbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "people.csv"
    file.write_text("".join(f"user{n}@example.com\n" for n in range(5)))
    (tmp_path / "mina-ops.toml").write_text(f'[incident]\nsend = ["{send}"]\n')
    command = ["incident", "notify-users", "--template", "service_restored", "--set", "what=x"]
    command += ["--recipients", "people.csv", "--json"]
    assert CliRunner().invoke(main, command).exit_code == 0
    (tmp_path / "returned").write_text(report(failed("User1@example.com"), _DELAYED))

    told = CliRunner().invoke(main, [*command, "--bounces", "returned"])
    assert told.exit_code == 1
    value = json.loads(told.stdout)
    assert (value["sent"], value["already"], value["bounced"]) == (0, 4, 1)
    (aside,) = value["aside"]
    assert aside.startswith("user1@example.com: came back: 550 5.1.1")
    assert "1 people could not be told" in told.stderr
    again = json.loads(CliRunner().invoke(main, command).stdout)
    assert (again["sent"], again["bounced"]) == (0, 1), "it is known from now on"

    file.write_text(file.read_text().replace("user1@", "user1.new@"))
    mended = CliRunner().invoke(main, command)
    assert mended.exit_code == 0
    assert json.loads(mended.stdout)["sent"] == 1
    found = addressees(mailbox)
    assert len(found) == len(set(found)) == 6


def test_bounce_of_somebody_else_changes_nothing(send: Path, tmp_path: Path) -> None:
    post(send, tmp_path / "j", number=2)
    stray = [bounces.Bounce("stranger@example.com", "came back")]
    done = post(send, tmp_path / "j", number=3, bounces=stray)
    assert (done.sent, done.before, done.bounced) == (1, 2, 0)


@pytest.mark.parametrize(
    "number", [120, pytest.param(5000, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
def test_many_go_out_with_the_time_that_is_left(tmp_path: Path, number: int) -> None:
    counter = tmp_path / "sendmail"
    counter.write_text(f"#!/bin/sh\ncat >/dev/null\necho >> {tmp_path}/count\n")
    counter.chmod(0o755)
    seen: list[tuple[int, float]] = []
    begun = time.monotonic()
    done = post(
        counter,
        tmp_path / "j",
        number=number,
        say=lambda p: seen.append((p.sent, p.seconds_left or 0.0)),
    )
    took = time.monotonic() - begun
    assert done.sent == number
    assert len((tmp_path / "count").read_text().splitlines()) == number
    assert [sent for sent, _ in seen] == [*range(50, number, 50), number]
    assert seen[-1][1] == 0
    assert 0 < seen[0][1] <= took * 10
    print(f"{number} letters in {took:.1f} s")
