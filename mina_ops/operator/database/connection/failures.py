"""What a driver's error means, as an error of ours that shows neither URL nor data."""

from __future__ import annotations

import re

from sqlalchemy.exc import DBAPIError

from mina_ops.errors import AccessDenied, OperatorError
from mina_ops.operator.database.connection.errors import DatabaseUnreachable

CONNECT_SECONDS = 10
_REASONS = (
    (
        r"password|authentication|no pg_hba|role .* does not exist|not permitted to log in|scram",
        "it refused the login",
    ),
    (r"database .* does not exist", "there is no database of that name"),
    (r"could not translate|name or service|resolve|nodename", "its host's name is not known"),
    (r"timeout|timed out", f"no answer within {CONNECT_SECONDS} s"),
    (r"refused|no such file or directory", "nothing listens at that address"),
    (r"unable to open database file", "the file or its folder does not exist or is not readable"),
    (r"too many|remaining connection slots", "it has no connection to spare"),
)


def unreachable(name: str, error: Exception) -> DatabaseUnreachable:
    """The error for a connection that was not made."""
    reason = _reason(error)
    return DatabaseUnreachable(f"The database {name} cannot be reached: {reason}. Check the URL.")


def failed(name: str, error: DBAPIError) -> OperatorError:
    """The error for a statement that failed, in the server's own words."""
    kind = type(error.orig).__name__
    if kind == "InsufficientPrivilege" or sqlstate(error) == "42501":
        return AccessDenied(f"The role of this URL lacks a permission on {name}: {said(error)}.")
    if error.connection_invalidated or kind in ("AdminShutdown", "ConnectionTimeout"):
        return DatabaseUnreachable(f"The connection to {name} broke. Try again.")
    return OperatorError(f"A statement failed on {name}: {said(error)}.")


def said(error: DBAPIError) -> str:
    """The first line of the server's own words; its detail and hint may hold data."""
    primary = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    text = primary or str(error.orig).strip() or type(error.orig).__name__
    return str(text).splitlines()[0].rstrip(".")


def sqlstate(error: DBAPIError) -> str:
    """The five characters of SQL's standard for what went wrong; empty where no server said it."""
    found = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    return str(found or "")


def _reason(error: Exception) -> str:
    words = str(error).lower()
    for pattern, reason in _REASONS:
        if re.search(pattern, words):
            return reason
    return "the connection failed"
