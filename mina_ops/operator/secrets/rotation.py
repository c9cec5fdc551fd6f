"""Rotate the app's secrets without a failed request or a lost session.

Both colours run on, so each change comes in three stages, each reloaded and verified:

    widen    old and new are both good: the new key may verify cookies, both tokens are known,
             the database has a second role, Redis a second password
    switch   the new ones are used; the old key still verifies the cookies that it signed
    narrow   the old tokens go, then the old role and the old Redis password

Up to `switch` a failure is undone by itself; from `narrow` on the rotation only goes forward.
A journal beside the file, 0600, lets a killed run be resumed or undone. Nothing is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from mina_ops import files
from mina_ops.errors import ConfigurationError, MinaOpsError, OperatorError
from mina_ops.operator.config.incident import SecretOptions
from mina_ops.operator.database.connection.connect import Database, parse
from mina_ops.operator.secrets import database_role as secret_database
from mina_ops.operator.secrets import env_file as secret_file
from mina_ops.operator.secrets import journal as secret_journal
from mina_ops.operator.secrets import redis_user as secret_redis
from mina_ops.operator.secrets import replacements
from mina_ops.operator.secrets import values as secret_values
from mina_ops.operator.secrets.journal import Journal, Stage
from mina_ops.operator.secrets.reload import Colours

UNUSED_SECONDS = 15.0
# Sessions signed by a key that long ago are over; more fallbacks only slow a bad cookie down.
_FALLBACKS = 3


class Rotation:
    """One rotation of the secrets in one file.

    Args:
        colours: reloads the colours and asks them whether they are well.
        admin: a database with a role that may create roles; only for kind `database`.
        token_file: where the operator's own token is kept; its new one is put there.
        say: told in one sentence what happens; never given a secret.
    """

    def __init__(
        self,
        options: SecretOptions,
        colours: Colours,
        *,
        admin: Database | None = None,
        token_file: Path | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        if options.file is None:
            raise ConfigurationError(
                "incident.secrets.file is not set; it names the environment file of the app."
            )
        self._options = options
        self._file = options.file
        self._colours = colours
        self._admin = admin
        self._token_file = token_file
        self._say = say
        self._journal_file = self._file.with_name(f"{self._file.name}.rotation")

    @property
    def interrupted(self) -> bool:
        """Whether an earlier rotation was begun and not ended."""
        return self._journal_file.exists()

    def begun(self) -> list[str]:
        """The kinds of secret of the rotation that goes on.

        Raises:
            ConfigurationError: there is none.
        """
        return secret_journal.read(self._journal_file).kinds

    def possible(self) -> list[str]:
        """The kinds of secret that the file has."""
        present = secret_file.read(self._file)
        return [kind for kind in replacements.KINDS if present.get(self._key(kind))]

    def begin(self, kinds: Sequence[str], now: datetime, *, end_sessions: bool = False) -> Journal:
        """Plan a rotation and write the plan down; nothing else happens yet.

        Raises:
            ConfigurationError: an earlier one is unfinished, or the file lacks such a secret.
        """
        if self.interrupted:
            raise ConfigurationError(
                f"An earlier rotation did not end ({self._journal_file}); --resume or --undo it."
            )
        present = secret_file.read(self._file)
        for kind in kinds:
            if not present.get(self._key(kind)):
                raise ConfigurationError(f"{self._file} has no {self._key(kind)} to rotate.")
        if "database" in kinds and self._admin is None:
            raise ConfigurationError(
                f"{self._options.admin_env} is not set; it holds the URL of a role that may "
                "create roles."
            )
        journal = replacements.planned(self._options, self._admin, list(kinds), present, now)
        journal.end_sessions = end_sessions
        self._write(journal, Stage.PLANNED)
        return journal

    def run(self, *, force: bool = False) -> list[str]:
        """Carry the planned or interrupted rotation to its end; remarks for the operator.

        Args:
            force: cut database sessions that still use the old role.

        Raises:
            MinaOpsError: it failed; before `narrow` everything is as it was, from then on
                it can be resumed.
        """
        journal = secret_journal.read(self._journal_file)
        if journal.stage in (Stage.PLANNED, Stage.WIDEN, Stage.SWITCH):
            try:
                self._widen(journal)
                self._switch(journal)
            except MinaOpsError:
                self._say("It failed; taking everything back.")
                self.undo()
                raise
        self._narrow(journal)
        remarks = self._retire(journal, force=force)
        self._journal_file.unlink()
        return remarks

    def undo(self) -> None:
        """Put everything back as it was before. Idempotent.

        Raises:
            ConfigurationError: there is none to undo, or it is past the point of no return.
        """
        journal = secret_journal.read(self._journal_file)
        if journal.stage in (Stage.NARROW, Stage.RETIRE):
            raise ConfigurationError(
                "The old secrets are being revoked already; --resume it, then rotate again."
            )
        secret_file.replace(self._file, secret_file.changed(self._file, self._before(journal)))
        if journal.stage != Stage.PLANNED:
            self._colours.reload()
        if "database" in journal.kinds and self._admin is not None:
            secret_database.drop(self._admin, journal.role)
        if "redis" in journal.kinds:
            key = self._options.redis_key
            new = secret_redis.password_of(journal.new[key])
            secret_redis.remove(journal.old[key], new or "")
        self._journal_file.unlink()
        self._say("Everything is as it was.")

    def _widen(self, journal: Journal) -> None:
        self._write(journal, Stage.WIDEN)
        self._say("Widen: the new secrets become good beside the old ones.")
        if "database" in journal.kinds and self._admin is not None:
            old, new = self._databases(journal)
            password = new.url.password or ""
            secret_database.create(self._admin, old.url.username or "", journal.role, password)
        if "redis" in journal.kinds:
            key = self._options.redis_key
            new_password = secret_redis.password_of(journal.new[key]) or ""
            secret_redis.add(journal.old[key], new_password)
        self._put(
            {
                self._options.fallbacks_key: secret_values.joined(
                    journal.new.get(self._options.secret_key), *self._fallbacks(journal)
                )
                if "secret_key" in journal.kinds
                else ...,
                self._options.tokens_key: self._both_tokens(journal),
            }
        )
        self._verify(journal)

    def _switch(self, journal: Journal) -> None:
        self._write(journal, Stage.SWITCH)
        self._say("Switch: the new secrets are used.")
        self._try_logins(journal)
        values: dict[str, Any] = {
            self._key(kind): journal.new[self._key(kind)]
            for kind in ("secret_key", "database", "redis")
            if kind in journal.kinds
        }
        if "secret_key" in journal.kinds:
            old_key = journal.old[self._options.secret_key]
            values[self._options.fallbacks_key] = secret_values.joined(
                old_key, *self._fallbacks(journal)
            )
        self._put(values)
        self._verify(journal)

    def _narrow(self, journal: Journal) -> None:
        self._write(journal, Stage.NARROW)
        self._say("Narrow: the old tokens go.")
        values: dict[str, Any] = {}
        mine = self._own_token(journal)
        if "tokens" in journal.kinds:
            values[self._options.tokens_key] = secret_values.with_digests(journal.tokens)
            self._hand_out(journal)
        if journal.end_sessions and "secret_key" in journal.kinds:
            values[self._options.fallbacks_key] = None
        if values:
            self._put(values)
        self._verify(journal)
        if mine is not None:
            self._colours.require_refused(mine)

    def _retire(self, journal: Journal, *, force: bool) -> list[str]:
        self._write(journal, Stage.RETIRE)
        self._say("Retire: the old role and the old password end.")
        remarks = [f"Rotate by hand at its provider: {name}." for name in self._options.by_hand]
        if "database" in journal.kinds and self._admin is not None:
            old, _ = self._databases(journal)
            cut = secret_database.retire(
                self._admin, old.url.username or "", wait_seconds=UNUSED_SECONDS, cut=force
            )
            remarks += [f"{cut} database sessions of the old role were cut."] if cut else []
        if "redis" in journal.kinds:
            key = self._options.redis_key
            old_password = secret_redis.password_of(journal.old[key])
            remark = secret_redis.remove(journal.new[key], old_password or "")
            remarks += [remark] if remark else []
        return remarks

    def _put(self, values: Mapping[str, Any]) -> None:
        chosen = {key: value for key, value in values.items() if value is not ...}
        if chosen:
            secret_file.replace(self._file, secret_file.changed(self._file, chosen))
            self._colours.reload()

    def _verify(self, journal: Journal) -> None:
        token = next(iter(journal.tokens.values()), None)
        self._colours.require_healthy(token=token)

    def _try_logins(self, journal: Journal) -> None:
        if "database" in journal.kinds:
            with self._databases(journal)[1].connect():
                pass
        if "redis" in journal.kinds and not secret_redis.works(
            journal.new[self._options.redis_key]
        ):
            raise OperatorError("Redis does not take the new password.")

    def _hand_out(self, journal: Journal) -> None:
        lines = "".join(f"{name}={token}\n" for name, token in journal.tokens.items())
        files.write(self._file.with_name(f"{self._file.name}.tokens"), lines)
        mine = self._own_token(journal)
        if mine is not None and self._token_file is not None:
            name = self._name_of(journal, mine) or ""
            files.write(self._token_file, journal.tokens[name] + "\n")

    def _own_token(self, journal: Journal) -> str | None:
        """The operator's token, if it is one of those that go."""
        file = self._token_file
        if "tokens" not in journal.kinds or file is None or not file.is_file():
            return None
        mine = file.read_text().strip()
        return mine if self._name_of(journal, mine) else None

    def _name_of(self, journal: Journal, token: str) -> str | None:
        text = journal.old[self._options.tokens_key]
        return secret_values.names_by_digest(text).get(secret_values.digest(token))

    def _fallbacks(self, journal: Journal) -> list[str]:
        found = journal.old.get(self._options.fallbacks_key, "")
        return [key for key in found.split(",") if key][: _FALLBACKS - 1]

    def _both_tokens(self, journal: Journal) -> Any:
        if "tokens" not in journal.kinds:
            return ...
        known = secret_values.tokens(journal.old[self._options.tokens_key])
        old = [f"{name}{secret_values.OLD}:{digest}" for name, digest in known]
        return ",".join([secret_values.with_digests(journal.tokens), *old])

    def _before(self, journal: Journal) -> dict[str, str | None]:
        options = self._options
        keys = [self._key(kind) for kind in journal.kinds]
        keys += [options.fallbacks_key] if "secret_key" in journal.kinds else []
        return {key: journal.old.get(key) for key in keys}

    def _databases(self, journal: Journal) -> tuple[Database, Database]:
        key = self._options.database_key
        return parse(journal.old[key], key), parse(journal.new[key], key)

    def _key(self, kind: str) -> str:
        return replacements.key_of(self._options, kind)

    def _write(self, journal: Journal, stage: Stage) -> None:
        journal.stage = stage
        secret_journal.write(self._journal_file, journal)
