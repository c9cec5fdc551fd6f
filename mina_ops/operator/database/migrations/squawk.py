"""squawk's rules on the SQL that Alembic makes, beyond those that `lint` knows better."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mina_ops.errors import OperatorError, ToolMissing
from mina_ops.operator.database.migrations.lint_rules import BLOCKING, Danger
from mina_ops.operator.database.migrations.render import Rendered
from mina_ops.operator.system import programs

_SECONDS = 30.0
# Judged by `lint`, which knows what the other colour maps and which form is safe.
_OURS = (
    "adding-field-with-default",
    "adding-foreign-key-constraint",
    "adding-not-nullable-field",
    "adding-primary-key-constraint",
    "adding-required-field",
    "adding-serial-primary-key-field",
    "ban-add-enum-value",
    "ban-alter-domain-with-add-constraint",
    "ban-alter-row-level-security",
    "ban-concurrent-index-creation-in-transaction",
    "ban-drop-column",
    "ban-drop-constraint",
    "ban-drop-default",
    "ban-drop-not-null",
    "ban-drop-table",
    "ban-drop-view",
    "ban-revoke",
    "ban-set-schema",
    "ban-uncommitted-transaction",
    "changing-column-type",
    "constraint-missing-not-valid",
    "disallowed-unique-constraint",
    "renaming-column",
    "renaming-object",
    "renaming-table",
    "require-concurrent-index-creation",
    "require-concurrent-index-deletion",
    "require-concurrent-partition-detach",
    "require-concurrent-reindex",
    "require-lock-timeout",
    "require-statement-timeout",
    "require-timeout-settings",
    "transaction-nesting",
)
# Taste, not danger: a type or a wording that squawk would choose otherwise.
_TASTE = (
    "ban-char-field",
    "identifier-too-long",
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-robust-stmts",
    "prefer-text-field",
    "prefer-repack",
    "prefer-timestamp-tz",
    "prefer-timestamptz",
    "require-enum-value-ordering",
    "require-table-schema",
    "unused-ignore",
)


def find() -> str:
    """The full path of squawk, beside this Python or on PATH.

    Raises:
        ToolMissing: it is not installed.
    """
    beside = Path(sys.executable).with_name("squawk")
    return str(beside) if beside.is_file() else programs.find("squawk", "pip install squawk-cli")


def look(migrations: Sequence[Rendered]) -> tuple[list[Danger], list[str]]:
    """What squawk finds beyond our own rules, and remarks on what it could not look at."""
    try:
        program = find()
    except ToolMissing:
        return [], ["squawk is not installed (pip install squawk-cli), so its rules were left out."]
    dangers: list[Danger] = []
    remarks: list[str] = []
    with tempfile.TemporaryDirectory(prefix="mina-squawk-") as folder:
        for rendered in migrations:
            file = Path(folder) / f"{rendered.revision}.sql"
            file.write_text(rendered.sql)
            found, remark = _ask(program, file, rendered.revision)
            dangers += found
            remarks += remark
    return dangers, remarks


def _ask(program: str, file: Path, revision: str) -> tuple[list[Danger], list[str]]:
    # It is asked about everything and answers are passed over here: an --exclude that a later
    # version does not know would end it.
    argv = [program, "--reporter", "json", "--assume-in-transaction", str(file)]
    try:
        result = programs.run(argv, timeout_seconds=_SECONDS)
        said = json.loads(result.stdout)
    except (OperatorError, ValueError):
        return [], [f"{revision}: squawk could not read its SQL; review it by hand."]
    dangers, remarks = [], []
    for item in said:
        rule = item["rule_name"]
        if rule == "syntax-error":
            remarks.append(f"{revision}: squawk does not understand line {item['line'] + 1}.")
        elif rule not in _OURS and rule not in _TASTE:
            advice = item.get("help") or f"See https://squawkhq.com/docs/{rule}."
            subject = file.read_text().splitlines()[item["line"]].strip()[:80]
            dangers.append(
                Danger(revision, f"squawk:{rule}", BLOCKING, subject, item["message"], advice)
            )
    return dangers, remarks
