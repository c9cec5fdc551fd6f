"""Changes in raw SQL: each statement, and each action of an ALTER TABLE, on its own.

What is not recognised is `unknown`, never harmless.

Source: the grammar of PostgreSQL 15's manual, part VI.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from mina_ops.operator.database.migrations.change import Change

_ONE = r'(?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))?'
_NAME = f"({_ONE})"
_LIST = rf"({_ONE}(?:\s*,\s*{_ONE})*)"
# A list of names must reach to the end of the statement, or names after it would be overlooked.
_END = r"(?:\s+(?:RESTART|CONTINUE)\s+IDENTITY)?(?:\s+(?:CASCADE|RESTRICT))?\s*$"
_IF = r"(?:IF\s+(?:NOT\s+)?EXISTS\s+)?"
_COLUMN = rf"(?:COLUMN\s+)?{_IF}{_NAME}"
_NAMED = rf"ADD\s+(?:CONSTRAINT\s+{_NAME}\s+)?"
_ALTER_TABLE = rf"ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?{_NAME}\s*\*?\s+(.*)"
VOLATILE = r"\b(?:\w*random\w*|uuid_generate\w*|clock_timestamp|timeofday|nextval)\s*\("
_REWRITES = rf"\b(?:(?:small|big)?serial|STORED|AS\s+IDENTITY)\b|DEFAULT\b.*{VOLATILE}"

# Pattern, kind ("" for what harms nobody), and a pattern of the safe form.
_Row = tuple[str, str, str]

_ACTIONS: tuple[_Row, ...] = (
    (rf"RENAME\s+TO\s+{_NAME}", "rename_table", ""),
    (r"RENAME\s+CONSTRAINT\b", "", ""),
    (rf"RENAME\s+{_COLUMN}\s+TO", "rename_column", ""),
    (rf"SET\s+SCHEMA\s+{_NAME}", "rename_table", ""),
    (rf"{_NAMED}FOREIGN\s+KEY", "add_foreign_key", r"\bNOT\s+VALID\b"),
    (rf"{_NAMED}CHECK\b", "add_check", r"\bNOT\s+VALID\b"),
    (rf"{_NAMED}(?:UNIQUE|PRIMARY\s+KEY)", "add_unique", r"\bUSING\s+INDEX\b"),
    (rf"{_NAMED}EXCLUDE\b", "add_exclude", ""),
    (rf"ADD\s+{_COLUMN}", "add_column", r"^(?!.*\bNOT\s+NULL\b)|\bDEFAULT\b|\bGENERATED\b|SERIAL"),
    (rf"DROP\s+CONSTRAINT\s+{_IF}{_NAME}", "drop_constraint", ""),
    (rf"DROP\s+{_COLUMN}", "drop_column", ""),
    (rf"ALTER\s+{_COLUMN}\s+SET\s+NOT\s+NULL", "set_not_null", ""),
    (rf"ALTER\s+{_COLUMN}\s+(?:SET\s+DATA\s+)?TYPE", "change_type", ""),
    (rf"ALTER\s+{_COLUMN}\s+DROP\s+DEFAULT", "drop_default", ""),
    (
        rf"ALTER\s+{_COLUMN}\s+(?:SET\s+(?:DEFAULT|STATISTICS|STORAGE|GENERATED|\()|"
        r"DROP\s+(?:NOT\s+NULL|IDENTITY|EXPRESSION)|ADD\s+GENERATED|RESTART|RESET)",
        "",
        "",
    ),
    (rf"VALIDATE\s+CONSTRAINT\s+{_NAME}", "validate", ""),
    (rf"ATTACH\s+PARTITION\s+{_NAME}", "attach_partition", ""),
    (rf"DETACH\s+PARTITION\s+{_NAME}", "detach_partition", r"\b(?:CONCURRENTLY|FINALIZE)\b"),
    (r"SET\s+(?:LOGGED|UNLOGGED|TABLESPACE|ACCESS\s+METHOD)\b", "rewrite", ""),
    (r"(?:ENABLE|FORCE)\s+ROW\s+LEVEL\s+SECURITY", "row_security", ""),
    (r"(?:ENABLE|DISABLE)\s+(?:ALWAYS\s+|REPLICA\s+)?TRIGGER\b", "trigger", ""),
    (r"SET\s*\(|RESET\s*\(|CLUSTER\s+ON|REPLICA\s+IDENTITY", "", ""),
)
_STATEMENTS: tuple[_Row, ...] = (
    (
        rf"CREATE\s+(?:(?:LOCAL\s+|GLOBAL\s+)?TEMP(?:ORARY)?\s+|UNLOGGED\s+)?TABLE\s+{_IF}{_NAME}",
        "create_table",
        "",
    ),
    (rf"CREATE\s+(?:OR\s+REPLACE\s+)?(?:MATERIALIZED\s+)?VIEW\s+{_IF}{_NAME}", "create_view", ""),
    (rf"DROP\s+TABLE\s+{_IF}{_LIST}{_END}", "drop_table", ""),
    (rf"DROP\s+(?:MATERIALIZED\s+)?VIEW\s+{_IF}{_LIST}{_END}", "drop_view", ""),
    (
        rf"CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?:CONCURRENTLY\s+)?{_IF}(?:{_NAME}\s+)?"
        rf"ON\s+(?:ONLY\s+)?{_NAME}",
        "create_index",
        r"\bCONCURRENTLY\b|\bON\s+ONLY\b",
    ),
    (rf"DROP\s+INDEX\s+(?:CONCURRENTLY\s+)?{_IF}{_LIST}{_END}", "drop_index", r"\bCONCURRENTLY\b"),
    (r"REINDEX\b", "reindex", r"\bCONCURRENTLY\b"),
    (rf"TRUNCATE\s+(?:TABLE\s+)?(?:ONLY\s+)?{_LIST}{_END}", "truncate", ""),
    (rf"UPDATE\s+(?:ONLY\s+)?{_NAME}(?:\s+(?:AS\s+)?\w+)?\s+SET", "update", ""),
    (rf"DELETE\s+FROM\s+(?:ONLY\s+)?{_NAME}", "delete", ""),
    (rf"(?:VACUUM\s+\(?\s*FULL\b\W*|CLUSTER\s+){_NAME}", "rewrite", ""),
    (rf"REFRESH\s+MATERIALIZED\s+VIEW\s+(?:CONCURRENTLY\s+)?{_NAME}", "refresh", "CONCURRENTLY"),
    (rf"LOCK\s+(?:TABLE\s+)?(?:ONLY\s+)?{_NAME}", "lock", ""),
    (rf"REVOKE\b.*?\bON\s+(?:TABLE\s+)?{_LIST}\s+FROM", "revoke", ""),
    (rf"CREATE\s+(?:OR\s+REPLACE\s+)?(?:CONSTRAINT\s+)?TRIGGER\b.*?\bON\s+{_NAME}", "trigger", ""),
    (rf"ALTER\s+TYPE\s+{_NAME}\s+ADD\s+VALUE\s+{_IF}('(?:[^']|'')*')", "enum_value", ""),
    (rf"ALTER\s+TYPE\s+{_NAME}\s+RENAME\s+VALUE\s+('(?:[^']|'')*')", "enum_renamed", ""),
    (rf"ALTER\s+DOMAIN\s+{_NAME}\s+ADD\b", "add_check", r"\bNOT\s+VALID\b"),
    (r"SET\s+(?:LOCAL\s+|SESSION\s+)?(lock_timeout|statement_timeout)\b", "timeout", r"^SET\s+LOC"),
    (
        r"SELECT\s+(?:pg_catalog\.)?set_config\s*\(\s*'(lock_timeout|statement_timeout)'",
        "timeout",
        r"\btrue\s*\)",
    ),
    (
        r"(?:SELECT|INSERT|COMMENT|GRANT|SET|RESET|SHOW|ANALY[SZ]E|VACUUM|PRAGMA|"
        r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:EXTENSION|SCHEMA|SEQUENCE|TYPE|DOMAIN|FUNCTION|PROCEDURE|"
        r"STATISTICS|ROLE|COLLATION|AGGREGATE)|ALTER\s+(?:SEQUENCE|INDEX|DEFAULT\s+PRIVILEGES)|"
        # squawk has rules for these.
        r"(?:DROP|CREATE)\s+DATABASE)\b",
        "",
        "",
    ),
)


def of_sql(sql: str) -> Iterator[Change]:
    """The changes in raw SQL, in order; `unknown` where a statement is not recognised."""
    for statement in split(sql):
        for change in _of_statement(statement):
            yield replace(change, text=change.text or statement)


def split(sql: str, at: str = ";") -> list[str]:
    """The parts of a script between separators, without comments.

    A separator within quotes, dollar quotes or brackets does not count.
    """
    token = re.compile(
        r"--[^\n]*|/\*.*?\*/|\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\"[^\"]*\"|(\$\w*\$).*?\1|([()])|("
        + at
        + ")",
        re.S,
    )
    parts, last, current, depth = [], 0, "", 0
    for match in token.finditer(sql):
        current += sql[last : match.start()]
        last = match.end()
        depth += {"(": 1, ")": -1}.get(match[2] or "", 0)
        if match[3] and depth <= 0:
            parts.append(current.strip())
            current = ""
        elif not match[0].startswith(("--", "/*")):
            current += match[0]
    parts.append((current + sql[last:]).strip())
    return [part for part in parts if part]


def _of_statement(statement: str) -> Iterator[Change]:
    altered = re.match(_ALTER_TABLE, statement, re.I | re.S)
    if altered is None:
        yield from _matched(_STATEMENTS, statement, "")
    else:
        for action in split(altered[2], ","):
            yield from _matched(_ACTIONS, action, _bare(altered[1]))
    if re.search(r"\bDROP\b.*\bCASCADE\s*$", statement, re.I | re.S):
        yield Change("cascade", _bare(altered[1]) if altered else "", statement[:60])


def _matched(rows: tuple[_Row, ...], text: str, table: str) -> Iterator[Change]:
    for pattern, kind, safe in rows:
        match = re.match(pattern, text, re.I | re.S)
        if match is None:
            continue
        if kind:
            is_safe = bool(safe) and re.search(safe, text, re.I | re.S) is not None
            yield from _named(kind, match, table, is_safe)
            yield from _beside(kind, text, match, table)
        return
    yield Change("unknown", table, " ".join(text.split())[:60])


def _named(kind: str, match: re.Match[str], table: str, safe: bool) -> Iterator[Change]:
    names = [name for name in match.groups() if name]
    if table:
        schema = kind == "rename_table" and re.match(r"SET\s+SCHEMA", match[0], re.I)
        column = f"{_bare(names[0])}.{table}" if schema else _bare(names[0]) if names else ""
        yield Change(kind, table, column, safe=safe)
    elif kind == "create_index":
        yield Change(kind, _bare(names[-1]), _bare(names[0]) if len(names) > 1 else "", safe=safe)
    elif kind in ("drop_table", "drop_view", "drop_index", "truncate", "revoke"):
        for name in names[0].split(","):
            yield Change(kind, _bare(_first_word(name)), safe=safe)
    elif kind in ("enum_value", "enum_renamed"):
        yield Change(kind, _bare(names[0]), names[1])
    else:
        yield Change(kind, _bare(names[0]) if names else "", safe=safe)


def _beside(kind: str, text: str, match: re.Match[str], table: str) -> Iterator[Change]:
    """What a statement does besides: a column that rewrites its table, a table that refers."""
    if kind == "create_table":
        for parent in re.findall(rf"\bREFERENCES\s+{_NAME}", text, re.I):
            yield Change("reference", _bare(parent), _bare(match[1]))
    elif kind == "add_column":
        column = _bare(match[1])
        if re.search(_REWRITES, text, re.I | re.S):
            yield Change("rewrite", table, column)
        if re.search(r"\b(?:UNIQUE|PRIMARY\s+KEY)\b", text, re.I):
            yield Change("add_unique", table, column)


def _first_word(text: str) -> str:
    words = text.split()
    return words[0] if words else ""


def _bare(name: str) -> str:
    return name.strip().rpartition(".")[2].strip('"')
