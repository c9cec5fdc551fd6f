"""Gathers what `letters` needs: the template's values, and the recipients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mina_ops import shipped
from mina_ops.errors import ConfigurationError, OperatorError
from mina_ops.operator.config.incident import IncidentOptions
from mina_ops.operator.database.connection import connect
from mina_ops.operator.incident import letters
from mina_ops.operator.incident import recipients as people_of
from mina_ops.operator.incident.letters import Letter
from mina_ops.operator.incident.recipients import People
from mina_ops.operator.system import programs

_SECONDS = 300.0


def letter(options: IncidentOptions, name: str, given: Sequence[str]) -> Letter:
    """The letter of a template, with KEY=VALUE texts and what is known anyway filled in.

    Raises:
        ConfigurationError: a text is no KEY=VALUE, or the template cannot be filled.
    """
    values = {"service": options.status_title, "date": f"{datetime.now(UTC):%d %B %Y}"}
    values = {**values, "contact": options.sender, **options.words}
    for text in given:
        key, sign, value = text.partition("=")
        if not sign or not key.isidentifier():
            raise ConfigurationError(f"--set {text!r} must be KEY=VALUE.")
        values[key] = value
    folder = options.templates or shipped.folder("docs/templates")
    undated = letters.template(name, folder, {**values, "date": ""})
    made = letters.template(name, folder, values)
    return replace(made, same_as=f"{undated.subject}\n{undated.body}")


def recipients(
    options: IncidentOptions, file: Path | None, database_variable: str = "DATABASE_URL"
) -> People:
    """The people: of a file, of the command, or of the query of mina-ops.toml.

    Raises:
        ConfigurationError: none of these is given, or nobody is in it.
        OperatorError: the command failed.
    """
    if file is not None:
        try:
            return people_of.from_bytes(file.read_bytes())
        except OSError as exc:
            raise ConfigurationError(f"{file} cannot be read.") from exc
    if options.recipients:
        result = programs.run(options.recipients, timeout_seconds=_SECONDS)
        if not result.ok:
            raise OperatorError(f"`{options.recipients[0]}` ended with {result.code}; nobody told.")
        return people_of.from_csv(result.stdout)
    if options.recipients_query:
        database = connect.from_variable(database_variable)
        return people_of.from_query(database, options.recipients_query)
    raise ConfigurationError(
        "Nobody is named: give --recipients FILE, or set incident.recipients (a command) or "
        "incident.recipients_query in mina-ops.toml."
    )
