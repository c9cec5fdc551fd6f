"""Statements that run nothing but PostgreSQL's own functions, whoever may create others.

A role that may create in a schema of the search path could define `public.quote_ident(name)`, or
an operator that fits our operands better than the built-in one; PostgreSQL would call it with the
rights of whoever asks. So each function, operator, type and catalogue that a statement names is
looked for in `pg_catalog` alone.
"""

from __future__ import annotations

import re

# Words of SQL that stand before a bracket and are no functions.
_GRAMMAR = {
    *("all", "and", "any", "array", "as", "by", "case", "cast", "coalesce", "else", "exists"),
    *(
        "extract",
        "filter",
        "from",
        "greatest",
        "group",
        "having",
        "in",
        "join",
        "lateral",
        "least",
        "limit",
    ),
    *("not", "on", "or", "over", "row", "select", "set", "some", "then", "union", "using"),
    *("values", "when", "where", "with", "operator"),
}
# Functions with a grammar of their own, and type names, which the grammar takes from pg_catalog.
_GRAMMAR |= {"substring", "overlay", "position", "trim", "normalize", "xmlelement", "xmlforest"}
_GRAMMAR_TYPES = {
    *("bigint", "bit", "boolean", "char", "character", "decimal", "double", "int", "integer"),
    *("interval", "numeric", "real", "smallint", "time", "timestamp", "varchar"),
}
_TOKEN = re.compile(
    r"""(?P<kept>'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\b[aA][sS]\s+\w+\s*\(|:\w+|=>|\*
        |OPERATOR\([^)]*\))
    | ::(?P<type>\w+|"char")(?!\.)
    | (?P<operator>[-+/<>=~!@\#%^&|]+)
    | (?P<dotted>[\w]+(?:\.\w+)+)
    | (?P<table>(?<!\.)\bpg_\w+)(?!\w|\s*\()
    | (?P<function>\b[A-Za-z_]\w*)(?=\()""",
    re.X,
)


def sealed(sql: str) -> str:
    """A statement of ours with `pg_catalog` put before its functions, operators, types, catalogues.

    An operator that is named so has the same rank as every other; write brackets around each of
    two that stand side by side. `IN`, `LIKE`, `BETWEEN` and `IS DISTINCT FROM` hide an operator
    and are not to be used; `= ANY (ARRAY[...])` serves instead of the first.
    """
    return _TOKEN.sub(_qualified, sql)


def sealed_expression(sql: str) -> str:
    """An expression as the server writes it, with all its brackets, made safe in the same way."""
    return _TOKEN.sub(lambda m: m[0] if m["table"] else _qualified(m), sql)


def _qualified(match: re.Match[str]) -> str:
    if match["type"]:
        name = match["type"]
        return match[0] if name.lower() in _GRAMMAR_TYPES else f"::pg_catalog.{name}"
    if match["operator"]:
        return f"OPERATOR(pg_catalog.{match['operator']})"
    if match["table"]:
        return f"pg_catalog.{match['table']}"
    if match["function"] and match["function"].lower() not in _GRAMMAR:
        return f"pg_catalog.{match['function']}"
    return match[0]
