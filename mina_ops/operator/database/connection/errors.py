"""What can go wrong with a database, beside the errors of `mina_ops.errors`.

OperatorError
├── DatabaseUnreachable       no connection, for a reason that the message classifies
├── BackupFailed              no backup was made, or it could not be proven good
├── RestoreFailed             nothing was restored; the target is as it was
├── Refused                   it could destroy data; the message says how to insist
└── FaultsFound               the check ran to its end and found something
"""

from __future__ import annotations

from mina_ops.errors import OperatorError


class DatabaseUnreachable(OperatorError):
    """No connection to the database."""

    code = "database_unreachable"
    exit_code = 3


class BackupFailed(OperatorError):
    """No backup was made, or it could not be proven good."""

    code = "backup_failed"


class RestoreFailed(OperatorError):
    """Nothing was restored; the target is as it was before."""

    code = "restore_failed"


class Refused(OperatorError):
    """Not done, since it could destroy data; the message says how to insist."""

    code = "refused"
    exit_code = 2


class FaultsFound(OperatorError):
    """A check ran to its end and found faults; they are in the report."""

    code = "faults_found"
    exit_code = 11
