"""Letters to users: from a template, in batches, and nobody gets the same one twice.

Before each letter a line says that it is being sent, after it that it was: a run that is killed
in between leaves it unknown whether that one letter went out, and such a one is never sent again
unless somebody says so. Addresses are kept as digests.
"""

from __future__ import annotations

import hashlib
import string
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

from mina_ops import files
from mina_ops.errors import ConfigurationError, OperatorError
from mina_ops.locks import held
from mina_ops.operator.incident import told
from mina_ops.operator.incident.bounces import Bounce
from mina_ops.operator.incident.recipients import Aside, Recipient
from mina_ops.operator.system import programs

SEND_SECONDS = 60.0
# So many in a row mean that the mail server is at fault, not the addresses.
_FAILURES_IN_A_ROW = 25
_OWN = frozenset({"name", "address"})


@dataclass(frozen=True)
class Letter:
    """A template with everything filled in but the recipient.

    `same_as` is a text that stays the same from day to day, where the letter names the date: a
    run that goes on tomorrow must not be another letter. Default: the letter's own text.
    """

    subject: str
    body: str
    same_as: str = ""

    @property
    def campaign(self) -> str:
        """Names this very text, so that another one is another letter."""
        text = self.same_as or f"{self.subject}\n{self.body}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to(self, recipient: Recipient, sender: str) -> str:
        """The message for one recipient, ready for sendmail."""
        own = {"name": recipient.name, "address": recipient.address}
        message = EmailMessage()
        message["From"] = sender
        message["To"] = recipient.address
        message["Subject"] = string.Template(self.subject).substitute(own)
        message["Date"] = formatdate(usegmt=True)
        message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2] or None)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(string.Template(self.body).substitute(own))
        return message.as_string()


@dataclass
class Progress:
    """How far a campaign is."""

    total: int
    sent: int = 0
    failed: int = 0
    unknown: int = 0
    before: int = 0
    bounced: int = 0
    seconds: float = 0.0
    refused: list[Aside] = field(default_factory=list)

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at the pace so far; None before the first letter."""
        done = self.sent + self.failed
        left = self.total - self.before - self.unknown - self.bounced - done
        return self.seconds / done * left if done else None


def template(name: str, folder: Path, values: Mapping[str, str]) -> Letter:
    """The letter that a template and its values make.

    Raises:
        ConfigurationError: there is no such template, it has no subject, or a value is missing;
            the message names all that are.
    """
    known = sorted(path.stem for path in folder.glob("*.txt")) if folder.is_dir() else []
    if name not in known:
        raise ConfigurationError(
            f"There is no template {name!r} in {folder}; there are {', '.join(known) or 'none'}."
        )
    head, _, body = (folder / f"{name}.txt").read_text(encoding="utf-8").partition("\n\n")
    if not head.startswith("Subject: ") or not body.strip():
        raise ConfigurationError(f"{folder}/{name}.txt must begin with 'Subject: ', then a text.")
    subject = head.removeprefix("Subject: ").strip()
    wanted = set(string.Template(f"{subject}\n{body}").get_identifiers())
    if missing := sorted(wanted - values.keys() - _OWN):
        given = " ".join(f"--set {key}=..." for key in missing)
        raise ConfigurationError(f"The template {name} needs {', '.join(missing)}; give {given}.")
    # A value may hold a dollar sign, which must not become a placeholder of the second filling.
    safe = {key: value.replace("$", "$$") for key, value in values.items()}
    return Letter(
        string.Template(subject).safe_substitute(safe), string.Template(body).safe_substitute(safe)
    )


def post(
    letter: Letter,
    recipients: Sequence[Recipient],
    journal: Path,
    *,
    send: Sequence[str],
    sender: str,
    batch: int = 50,
    pause_seconds: float = 1.0,
    retry_unknown: bool = False,
    bounces: Sequence[Bounce] = (),
    say: Callable[[Progress], None] = lambda _: None,
) -> Progress:
    """Write to everyone who was not written to yet; how far it is then.

    Args:
        journal: who was told; the same file makes a later run go on where this one ended.
        send: a command that takes one message on standard input.
        bounces: whose letters came back; they are set aside, in later runs too.
        say: told after each batch.

    Raises:
        OperatorError: the mail server takes nothing; run it again later.
        ToolMissing: there is no such command.
    """
    programs.find(send[0], "Set incident.send to a command that takes a message, as sendmail does.")
    files.make_folder(journal.parent)
    with held(journal.with_suffix(".lock"), wait_seconds=0):
        told.note_bounces(journal, bounces)
        progress, fresh, again = _sorted(recipients, told.states(journal), retry_unknown)
        mail = _Mail(letter, journal, progress, tuple(send), sender)
        mail.deliver(fresh, batch, pause_seconds, say)
        # Those whom an earlier run could not tell come last, so that they hold up nobody.
        mail.deliver(again, batch, pause_seconds, say, is_second_try=True)
        say(progress)
    return progress


def _sorted(
    recipients: Sequence[Recipient], state: dict[str, dict[str, str]], retry_unknown: bool
) -> tuple[Progress, list[Recipient], list[Recipient]]:
    """Who was never tried, and who is tried again."""
    progress = Progress(len(recipients))
    fresh: list[Recipient] = []
    again: list[Recipient] = []
    for recipient in recipients:
        entry = state.get(recipient.digest, {})
        was = entry.get("state")
        if was == "sent":
            progress.before += 1
        elif was == "bounced":
            progress.bounced += 1
            progress.refused.append(Aside(recipient.address, entry.get("why", "came back")))
        elif was == "begun" and not retry_unknown:
            progress.unknown += 1
        else:
            (fresh if was is None else again).append(recipient)
    return progress, fresh, again


@dataclass
class _Mail:
    """One run of one letter."""

    letter: Letter
    journal: Path
    progress: Progress
    send: tuple[str, ...]
    sender: str

    def deliver(
        self,
        todo: Sequence[Recipient],
        batch: int,
        pause_seconds: float,
        say: Callable[[Progress], None],
        *,
        is_second_try: bool = False,
    ) -> None:
        """Write to each; whom the mail server refuses is set aside."""
        in_a_row = 0
        begun, earlier = time.monotonic(), self.progress.seconds
        for number, recipient in enumerate(todo, 1):
            refusal = self._write_to(recipient)
            in_a_row = 0 if refusal is None else in_a_row + 1
            self.progress.seconds = earlier + time.monotonic() - begun
            if in_a_row >= _FAILURES_IN_A_ROW and not is_second_try:
                raise OperatorError(
                    f"`{self.send[0]}` refused {in_a_row} letters in a row ({refusal}); "
                    f"{self.progress.sent} were sent. Mend it and run the same command again."
                )
            if number % batch == 0 and number < len(todo):
                say(self.progress)
                time.sleep(pause_seconds)

    def _write_to(self, recipient: Recipient) -> str | None:
        """Why it was refused; None: it went out."""
        try:
            message = self.letter.to(recipient, self.sender)
        except (ValueError, UnicodeError) as exc:
            return self._set_aside(recipient, f"no letter can be made for it ({exc})")
        told.note(self.journal, recipient, "begun")
        result = programs.run(list(self.send), timeout_seconds=SEND_SECONDS, text_in=message)
        if not result.ok:
            return self._set_aside(recipient, f"exit code {result.code}: {result.last_line()}")
        told.note(self.journal, recipient, "sent")
        self.progress.sent += 1
        return None

    def _set_aside(self, recipient: Recipient, why: str) -> str:
        told.note(self.journal, recipient, "failed")
        self.progress.failed += 1
        self.progress.refused.append(Aside(recipient.address, why))
        return why
