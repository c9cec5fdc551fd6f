"""Letters to users: from a template, in batches, and nobody gets the same one twice.

Before each letter a line says that it is being sent, after it that it was: a run that is killed
in between leaves it unknown whether that one letter went out, and such a one is never sent again
unless somebody says so. Addresses are kept as digests.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import string
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

from mina_ops import files
from mina_ops.errors import ConfigurationError, OperatorError
from mina_ops.operator.database.connection.connect import Database
from mina_ops.operator.database.connection.queries import rows, run
from mina_ops.operator.system import programs
from mina_ops.operator.system.locks import held

SEND_SECONDS = 60.0
# So many in a row mean that the mail server is at fault, not the address.
_FAILURES_IN_A_ROW = 5
_ADDRESS = re.compile(r"[^\s@<>\"',;:]+@[^\s@<>\"',;:]+\.[^\s@<>\"',;:]+")
_OWN = frozenset({"name", "address"})


@dataclass(frozen=True)
class Recipient:
    """Somebody to write to."""

    address: str
    name: str

    @property
    def digest(self) -> str:
        """What the journal keeps instead of the address."""
        return hashlib.sha256(self.address.lower().encode()).hexdigest()


@dataclass(frozen=True)
class Letter:
    """A template with everything filled in but the recipient."""

    subject: str
    body: str

    @property
    def campaign(self) -> str:
        """Names this very text, so that another one is another letter."""
        return hashlib.sha256(f"{self.subject}\n{self.body}".encode()).hexdigest()[:12]

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


def from_csv(text: str) -> list[Recipient]:
    """The recipients in lines `address` or `address,name`; each address once.

    Raises:
        ConfigurationError: a line holds no address; says which line.
    """
    found: dict[str, Recipient] = {}
    for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
        if not row or not row[0].strip() or row[0].strip().lower() == "address":
            continue
        address = row[0].strip()
        if not _ADDRESS.fullmatch(address):
            raise ConfigurationError(f"Recipients, line {number}: there is no address in it.")
        name = " ".join(row[1].split()) if len(row) > 1 and row[1].strip() else "user"
        recipient = Recipient(address, name)
        found.setdefault(recipient.digest, recipient)
    return list(found.values())


def from_query(database: Database, query: str) -> list[Recipient]:
    """The recipients that a query gives, with the columns `address` and `name`."""
    with database.connect() as connection:
        if database.kind == "postgresql":
            # The query is the operator's own and names tables as the app does.
            run(connection, 'SET LOCAL search_path = pg_catalog, "$user", public')
        found = [(str(row.address), str(row.name or "")) for row in rows(connection, query)]
    buffer = io.StringIO()
    csv.writer(buffer).writerows(found)
    return from_csv(buffer.getvalue())


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
    say: Callable[[Progress], None] = lambda _: None,
) -> Progress:
    """Write to everyone who was not written to yet; how far it is then.

    Args:
        journal: who was told; the same file makes a later run go on where this one ended.
        send: a command that takes one message on standard input.
        say: told after each batch.

    Raises:
        OperatorError: the mail server takes nothing; run it again later.
        ToolMissing: there is no such command.
    """
    programs.find(send[0], "Set incident.send to a command that takes a message, as sendmail does.")
    files.make_folder(journal.parent)
    with held(journal.with_suffix(".lock"), wait_seconds=0):
        state = _states(journal)
        progress = Progress(len(recipients))
        todo = []
        for recipient in recipients:
            was = state.get(recipient.digest)
            if was == "sent":
                progress.before += 1
            elif was == "begun" and not retry_unknown:
                progress.unknown += 1
            else:
                todo.append(recipient)
        _post(letter, todo, journal, progress, send, sender, batch, pause_seconds, say)
    return progress


def _post(
    letter: Letter,
    todo: Sequence[Recipient],
    journal: Path,
    progress: Progress,
    send: Sequence[str],
    sender: str,
    batch: int,
    pause_seconds: float,
    say: Callable[[Progress], None],
) -> None:
    in_a_row = 0
    for number, recipient in enumerate(todo, 1):
        _note(journal, recipient, "begun")
        result = programs.run(
            list(send), timeout_seconds=SEND_SECONDS, text_in=letter.to(recipient, sender)
        )
        _note(journal, recipient, "sent" if result.ok else "failed")
        progress.sent += result.ok
        progress.failed += not result.ok
        in_a_row = 0 if result.ok else in_a_row + 1
        if in_a_row >= _FAILURES_IN_A_ROW:
            raise OperatorError(
                f"`{send[0]}` refused {in_a_row} letters in a row (exit code {result.code}); "
                f"{progress.sent} were sent. Mend it and run the same command again."
            )
        if number % batch == 0 and number < len(todo):
            say(progress)
            time.sleep(pause_seconds)
    say(progress)


def _note(journal: Path, recipient: Recipient, state: str) -> None:
    files.append(journal, json.dumps({"to": recipient.digest, "state": state}))


def _states(journal: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    lines: Iterable[str] = journal.read_text().splitlines() if journal.exists() else []
    for line in lines:
        try:
            entry = json.loads(line)
            found[entry["to"]] = entry["state"]
        except (ValueError, KeyError, TypeError):
            continue
    return found
