"""The logins that a rotation makes and ends: a database role and a Redis password.

Each function may be repeated, and begins by finding out how things are: a killed run, a server
that restarted or an undo that was cut off may have left any mixture.
"""

from __future__ import annotations

from collections.abc import Callable

from mina_ops.errors import OperatorError
from mina_ops.operator.config.incident import SecretOptions
from mina_ops.operator.database.connection.connect import Database, parse
from mina_ops.operator.secrets import database_role, redis_user
from mina_ops.operator.secrets.journal import Journal

UNUSED_SECONDS = 15.0
_TRIES = 3


class Logins:
    """The old and the new login of one rotation.

    Args:
        admin: a database with a role that may create roles; needed for kind `database`.
    """

    def __init__(self, options: SecretOptions, journal: Journal, admin: Database | None) -> None:
        self._options = options
        self._journal = journal
        self._admin = admin

    def make_new_good(self) -> list[str]:
        """Let the new logins in beside the old ones, and prove that they are; remarks.

        Raises:
            MinaOpsError: a server is away, or refuses.
        """
        if (admin := self._database_admin()) is not None:
            old, new = self._databases()
            password = new.url.password or ""
            database_role.patiently(
                lambda: database_role.create(
                    admin, old.url.username or "", self._journal.role, password
                )
            )
            if not database_role.can_log_in(new):
                raise OperatorError(f"The new role {self._journal.role} cannot log in.")
        return self._add_password(self._journal.new)

    def make_old_good(self) -> list[str]:
        """Let the old logins in again, whatever was ended already; remarks."""
        if (admin := self._database_admin()) is not None:
            old, _ = self._databases()
            login, password = old.url.username or "", old.url.password or ""
            if not database_role.can_log_in(old):
                database_role.patiently(
                    lambda: database_role.revive(admin, login, self._journal.role, password)
                )
            if not database_role.can_log_in(old):
                raise OperatorError(f"The old role {login} cannot log in; nothing was changed.")
        return self._add_password(self._journal.old)

    def end_old(self, *, cut: bool) -> list[str]:
        """End the old logins, once nobody uses them; remarks.

        Raises:
            OperatorError: the old role is in use, and `cut` is not given.
        """
        remarks = []
        if (admin := self._database_admin()) is not None:
            old, _ = self._databases()
            left = database_role.patiently(
                lambda: database_role.retire(
                    admin, old.url.username or "", wait_seconds=UNUSED_SECONDS, cut=cut
                )
            )
            remarks += [f"{left} database sessions of the old role were cut."] if left else []
        return remarks + self._end_password(self._journal.old, keep=self._journal.new)

    def end_new(self) -> list[str]:
        """Take the new logins back; remarks."""
        remarks = []
        if (admin := self._database_admin()) is not None:
            remark = database_role.patiently(lambda: database_role.drop(admin, self._journal.role))
            remarks += [remark] if remark else []
        return remarks + self._end_password(self._journal.new, keep=self._journal.old)

    def _add_password(self, of: dict[str, str]) -> list[str]:
        if "redis" not in self._journal.kinds:
            return []
        key = self._options.redis_key
        other = self._journal.old if of is self._journal.new else self._journal.new
        password = redis_user.password_of(of[key]) or ""
        is_kept = False

        def add() -> bool:
            nonlocal is_kept
            is_kept = redis_user.add((of[key], other[key]), password)
            return redis_user.works(of[key])

        _insist(add, "Redis does not take the password that it was just given.")
        return [] if is_kept else [redis_user.UNKEPT]

    def _end_password(self, of: dict[str, str], *, keep: dict[str, str]) -> list[str]:
        if "redis" not in self._journal.kinds:
            return []
        key = self._options.redis_key
        remarks: list[str] = []

        def end() -> bool:
            remarks[:] = self._add_password(keep)  # never end the last one that works
            redis_user.remove(keep[key], redis_user.password_of(of[key]) or "")
            return not redis_user.works(of[key])

        _insist(end, "Redis still takes the password that was ended.")
        return remarks

    def _database_admin(self) -> Database | None:
        return self._admin if "database" in self._journal.kinds else None

    def _databases(self) -> tuple[Database, Database]:
        key = self._options.database_key
        return parse(self._journal.old[key], key), parse(self._journal.new[key], key)


def _insist(act: Callable[[], bool], otherwise: str) -> None:
    """Do it until it holds: a restart between a command and its save forgets the command."""
    for left in reversed(range(_TRIES)):
        try:
            if act():
                return
        except OperatorError:
            if not left:
                raise
    raise OperatorError(otherwise)
